import { useState } from "react";
import { describe } from "@/api/problem.ts";
import type { QueuedMessage } from "@/api/types.ts";
import { returnToComposer } from "@/components/focus.ts";
import { newKey } from "@/lib/intents.ts";
import { wordsOf } from "../content.ts";
import { replaceQueued } from "./replaceQueued.ts";

interface Edit {
  message: QueuedMessage;
  text: string;
  /** Where the message stood when editing began. */
  place: number;
  key: string;
  /** This page has taken the old one out of the queue. */
  isRemoved: boolean;
}

export interface QueueEdit {
  editing: Edit | null;
  /** The message's turn came while it was being edited. */
  wasSent: boolean;
  saving: boolean;
  problem: string;
  begin: (message: QueuedMessage, place: number) => void;
  change: (text: string) => void;
  save: () => Promise<void>;
  end: () => void;
}

/** One waiting message being given other words. What was typed outlives the message itself. */
export function useQueueEdit(chatId: string, items: readonly QueuedMessage[]): QueueEdit {
  const [editing, setEditing] = useState<Edit | null>(null);
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState("");
  const wasSent = editing !== null && !editing.isRemoved && !items.some((message) => message.id === editing.message.id);

  const end = () => {
    setEditing(null);
    setProblem("");
    returnToComposer();
  };
  const save = async () => {
    const text = editing?.text.trim() ?? "";
    if (editing === null || saving || text === "") return;
    const isGone = editing.isRemoved || wasSent;
    if (!isGone && text === wordsOf(editing.message.content).trim()) return end();
    setSaving(true);
    setProblem("");
    try {
      await replaceQueued({
        chatId,
        message: editing.message,
        text,
        position: wasSent ? null : editing.place,
        key: editing.key,
        isRemoved: isGone,
        onRemoved: () => setEditing((edit) => edit && { ...edit, isRemoved: true }),
      });
      end();
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setSaving(false);
    }
  };
  return {
    editing,
    wasSent,
    saving,
    problem,
    begin: (message, place) => setEditing({ message, text: wordsOf(message.content), place, key: newKey(), isRemoved: false }),
    // Other words are another wish.
    change: (text) => setEditing((edit) => edit && { ...edit, text, key: newKey() }),
    save,
    end,
  };
}

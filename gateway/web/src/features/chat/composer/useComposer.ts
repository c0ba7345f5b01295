import { type KeyboardEvent, useState } from "react";
import { describe } from "@/api/problem.ts";
import type { BusyBehavior } from "@/api/types.ts";
import { readDraft, writeDraft } from "@/lib/drafts.ts";
import type { Attachments } from "./useAttachments.ts";

export interface Outgoing {
  text: string;
  fileIds: readonly string[];
  behavior: BusyBehavior;
}

interface Options {
  draftKey: string;
  attachments: Attachments;
  /** Earlier prompts, newest first. */
  prompts: readonly string[];
  isBusy: boolean;
  onSend: (message: Outgoing) => Promise<void>;
  onStop: () => void;
}

/** The composer's state: the text is kept, here and in the browser, until the server has confirmed it. */
export function useComposer({ draftKey, attachments, prompts, isBusy, onSend, onStop }: Options) {
  const [text, setText] = useState(() => readDraft(draftKey));
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  /** Which earlier prompt is shown; -1 for the reader's own text. */
  const [recalled, setRecalled] = useState(-1);

  const change = (value: string) => {
    setText(value);
    setRecalled(-1);
    writeDraft(draftKey, value);
  };
  const canSend = !sending && !attachments.isBusy && (text.trim() !== "" || attachments.fileIds.length > 0);

  const send = async (behavior: BusyBehavior = "queue") => {
    if (!canSend) return;
    setSending(true);
    setProblem(null);
    try {
      await onSend({ text: text.trim(), fileIds: attachments.fileIds, behavior });
      change("");
      attachments.clear();
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setSending(false);
    }
  };
  const recall = (step: number) => {
    const next = Math.min(Math.max(recalled + step, -1), prompts.length - 1);
    setRecalled(next);
    setText(next < 0 ? "" : (prompts[next] ?? ""));
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing) return;
    const touch = window.matchMedia("(pointer: coarse)").matches;
    const modified = event.metaKey || event.ctrlKey;
    if (event.key === "Enter" && (modified || (!event.shiftKey && !touch))) {
      event.preventDefault();
      void send();
    } else if (event.key === "Escape" && isBusy) {
      event.preventDefault();
      onStop();
    } else if (event.key === "ArrowUp" && (text === "" || recalled >= 0) && prompts.length > 0) {
      event.preventDefault();
      recall(1);
    } else if (event.key === "ArrowDown" && recalled >= 0) {
      event.preventDefault();
      recall(-1);
    }
  };
  return { text, change, sending, problem, canSend, send, onKeyDown };
}

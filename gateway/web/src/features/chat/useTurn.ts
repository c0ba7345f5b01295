import { useEffect, useState } from "react";
import { interruptChat } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { returnToComposer } from "@/components/focus.ts";
import { toast } from "@/components/toasts.ts";
import { Remembered } from "@/lib/remembered.ts";
import { type ChatView, isBusy } from "@/stream/view.ts";
import { rowTellsCut, type TurnEnd, turnEnd } from "./status/stopped.ts";
import { isAsked } from "@/lib/speech.ts";

export interface Turn {
  isBusy: boolean;
  /** The reader has asked it to end, and it has not yet. */
  stopping: boolean;
  /** How the last turn ended: as its messages tell, else its row, else as this browser remembers. */
  end: TurnEnd;
  stop: () => void;
}

/** The message whose turn was stopped from here, for sub-chats and for the moment before the chat's row has told. */
const stopped = new Remembered<number>("tandem.stopped");

/** The turn under way, and ending it: by button, or by Escape from anywhere on the page. */
export function useTurn(chatId: string, view: ChatView, chat: Chat | undefined): Turn {
  const busy = isBusy(view.status) || view.status === "requires_action";
  const asked = view.messages.findLast(isAsked)?.id ?? 0;
  const [stopping, setStopping] = useState(false);
  const [stoppedAt, setStoppedAt] = useState(() => stopped.get(chatId) ?? 0);
  if (stopping && !busy) setStopping(false);
  // Another turn for the same message: a retry, or a compaction.
  if (stoppedAt !== 0 && busy && !stopping) setStoppedAt(0);
  useEffect(() => stopped.set(chatId, stoppedAt === 0 ? null : stoppedAt), [chatId, stoppedAt]);

  const stop = () => {
    if (stopping) return;
    setStopping(true);
    setStoppedAt(asked);
    returnToComposer();
    interruptChat(chatId).catch((error: unknown) => {
      setStopping(false);
      setStoppedAt(0);
      toast(describe(error), { tone: "danger" });
    });
  };
  useEffect(() => {
    if (!busy) return undefined;
    const onKeyDown = (event: KeyboardEvent) => {
      // Whoever has a use for the key of its own has taken it before it gets here.
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open], [role=menu]")) stop();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  });
  const stored = turnEnd(view);
  const isCut = (asked > 0 && stoppedAt === asked) || rowTellsCut(chat, view);
  return { isBusy: busy, stopping, end: stored === "unknown" && isCut ? "cut" : stored, stop };
}

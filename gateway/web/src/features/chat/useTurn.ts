import { useEffect, useState } from "react";
import { interruptChat } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import { toast } from "@/components/toasts.ts";
import { type ChatView, isBusy } from "@/stream/view.ts";

export interface Turn {
  isBusy: boolean;
  /** The reader has asked it to end, and it has not yet. */
  stopping: boolean;
  /** The reader has ended the last turn from this tab. */
  wasStopped: boolean;
  stop: () => void;
}

const PREFIX = "tandem.stopped.";

/** The message whose turn was stopped; 0 for none. Kept for the tab, so that a reload shows the same. */
function readStopped(chatId: string): number {
  try {
    return Number(sessionStorage.getItem(PREFIX + chatId) ?? 0);
  } catch {
    return 0;
  }
}

function writeStopped(chatId: string, messageId: number): void {
  try {
    sessionStorage.setItem(PREFIX + chatId, String(messageId));
  } catch {
    // Then it is forgotten with the page.
  }
}

/** The turn under way, and ending it: by button, or by Escape from anywhere on the page. */
export function useTurn(chatId: string, view: ChatView): Turn {
  const busy = isBusy(view.status) || view.status === "requires_action";
  const asked = view.messages.findLast((message) => message.role === "user")?.id ?? 0;
  const [stopping, setStopping] = useState(false);
  const [stoppedAt, setStoppedAt] = useState(() => readStopped(chatId));
  if (stopping && !busy) setStopping(false);
  // Another turn for the same message: a retry, or a compaction.
  if (stoppedAt !== 0 && busy && !stopping) setStoppedAt(0);
  useEffect(() => writeStopped(chatId, stoppedAt), [chatId, stoppedAt]);

  const stop = () => {
    if (stopping) return;
    setStopping(true);
    setStoppedAt(asked);
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
  return { isBusy: busy, stopping, wasStopped: view.status === "waiting" && asked > 0 && stoppedAt === asked, stop };
}

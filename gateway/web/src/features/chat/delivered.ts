// Whether a message whose confirmation got lost has arrived after all. Pure.
import type { Mark } from "@/lib/intents.ts";
import { type ChatView, newestMessageId } from "@/stream/view.ts";
import { wordsOf } from "./content.ts";

/** The newest message and queued message of the chat as it stands. */
export function markOf(view: ChatView): Mark {
  return { messageId: newestMessageId(view), queuedId: Math.max(0, ...view.queue.map((queued) => queued.id)) };
}

/** The chat has a newer message with exactly this text, sent or waiting. */
export function hasArrived(view: ChatView, text: string, mark: Mark): boolean {
  if (text === "") return false;
  const sent = view.messages.some((m) => m.role === "user" && m.id > mark.messageId && wordsOf(m.content).trim() === text);
  return sent || view.queue.some((q) => q.id > mark.queuedId && wordsOf(q.content).trim() === text);
}

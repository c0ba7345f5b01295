// What editing a message takes away. Pure.
import type { ChatView } from "@/stream/view.ts";
import { isBusy } from "@/stream/view.ts";
import { isAsked } from "@/lib/speech.ts";

export interface Dropped {
  messages: number;
  answers: number;
  tools: number;
  waiting: number;
  /** A turn is under way and is stopped by it. */
  stopsTurn: boolean;
}

/** Everything behind the message, its answers and the queue; the message itself is not counted. */
export function droppedBy(view: ChatView, messageId: number): Dropped {
  const behind = view.messages.filter((message) => message.id > messageId);
  const parts = behind.flatMap((message) => (message.role === "assistant" ? (message.content ?? []) : []));
  return {
    messages: behind.filter(isAsked).length,
    answers: behind.filter((message) => message.role === "assistant" && message.content?.some((part) => part.type === "text" && part.text !== "")).length,
    tools: parts.filter((part) => part.type === "tool-call").length,
    waiting: view.queue.length,
    stopsTurn: isBusy(view.status) || view.status === "requires_action",
  };
}

const count = (n: number, one: string, many: string) => (n === 0 ? [] : [`${String(n)} ${n === 1 ? one : many}`]);

/** One sentence for people. */
export function droppedText(dropped: Dropped): string {
  const things = [
    ...count(dropped.messages, "message", "messages"),
    ...count(dropped.answers, "answer", "answers"),
    ...count(dropped.tools, "tool call", "tool calls"),
    ...count(dropped.waiting, "waiting message", "waiting messages"),
  ];
  const list = things.length < 2 ? things.join("") : `${things.slice(0, -1).join(", ")} and ${things.at(-1) ?? ""}`;
  const stops = dropped.stopsTurn ? "The running turn is stopped. " : "";
  if (list === "") return `${stops}The agent answers the new text.`;
  return `${stops}Removes ${list} below. Files in the workspace stay as they are now.`;
}

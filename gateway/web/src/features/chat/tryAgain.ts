import { editMessage, retryChat, sendMessage } from "@/api/chats.ts";
import { isNotServed } from "@/api/problem.ts";
import type { ChatView } from "@/stream/view.ts";
import { inputOf } from "./content.ts";
import { isContext } from "@/lib/speech.ts";

const CONTINUE = "Please continue.";

/**
 * Goes on after a failed turn as it stands. A server that cannot do that is asked anew: in place of the same message when nothing
 * was answered yet, else behind everything; work that was done is never thrown away, nor is anything that waits in the queue.
 */
export async function tryAgain(chatId: string, view: ChatView): Promise<void> {
  try {
    await retryChat(chatId);
  } catch (error) {
    if (!isNotServed(error)) throw error;
    await askAgain(chatId, view);
  }
}

async function askAgain(chatId: string, view: ChatView): Promise<void> {
  const last = view.messages.findLast((message) => !isContext(message));
  const content = last?.role === "user" ? inputOf(last.content) : [];
  if (last === undefined || content.length === 0 || view.queue.length > 0) {
    await sendMessage(chatId, { content: [{ type: "text", text: CONTINUE }] });
    return;
  }
  try {
    await editMessage(chatId, last.id, { content });
  } catch (error) {
    if (!isNotServed(error)) throw error;
    await sendMessage(chatId, { content });
  }
}

import { editMessage, sendMessage } from "@/api/chats.ts";
import { ApiError } from "@/api/problem.ts";
import type { ChatMessage, InputPart } from "@/api/types.ts";
import type { ChatView } from "@/stream/view.ts";

const CONTINUE = "Please continue.";

/**
 * Goes on after a failed turn. When nothing was answered yet the same message is asked again in its place; work that was
 * done is never thrown away, nor is anything that waits in the queue.
 */
export async function tryAgain(chatId: string, view: ChatView): Promise<void> {
  const last = view.messages.at(-1);
  const content = last?.role === "user" ? inputOf(last) : [];
  if (last === undefined || content.length === 0 || view.queue.length > 0) {
    await sendMessage(chatId, { content: [{ type: "text", text: CONTINUE }] });
    return;
  }
  try {
    await editMessage(chatId, last.id, content);
  } catch (error) {
    const cannotEdit = error instanceof ApiError && [404, 405, 501].includes(error.status);
    if (!cannotEdit) throw error;
    await sendMessage(chatId, { content });
  }
}

function inputOf(message: ChatMessage): InputPart[] {
  return (message.content ?? []).flatMap((part): InputPart[] => {
    if (part.type === "text" && part.text.trim() !== "") return [{ type: "text", text: part.text }];
    return part.type === "file" && part.file_id ? [{ type: "file", file_id: part.file_id }] : [];
  });
}

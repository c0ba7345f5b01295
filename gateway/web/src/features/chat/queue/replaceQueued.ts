// Gives a waiting message other words. The server's queue knows removing, adding and moving, so that is what is done: the old
// one goes first, because a turn that ends in between must never be given both.
import { deleteQueued, moveQueued, sendMessage } from "@/api/chats.ts";
import type { QueuedMessage } from "@/api/types.ts";
import { reworded } from "../content.ts";

export interface Replacement {
  chatId: string;
  message: QueuedMessage;
  text: string;
  /** Where it stood and the new one is put; `null` when its turn came and there is no such place any more. */
  position: number | null;
  /** The same on every attempt. */
  key: string;
  /** The old one is gone, by an earlier attempt or because its turn came. */
  isRemoved: boolean;
  onRemoved: () => void;
}

/** Throws what the server says; then the text is still the caller's to keep. */
export async function replaceQueued({ chatId, message, text, position, key, isRemoved, onRemoved }: Replacement): Promise<void> {
  if (!isRemoved) {
    await deleteQueued(chatId, message.id);
    onRemoved();
  }
  const sent = await sendMessage(
    chatId,
    {
      content: reworded(message.content, text),
      busy_behavior: "queue",
      ...(message.model_config_id && { model_config_id: message.model_config_id }),
    },
    key,
  );
  // A new message stands at the end. That it stays there is no harm worth a word.
  if (sent.queued_message && position !== null) await moveQueued(chatId, sent.queued_message.id, position).catch(() => undefined);
}

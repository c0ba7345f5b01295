// Up to when this browser has seen each chat. The server moves its own mark when a reader comes and goes, not while they stay, and
// not when the connection is cut with the process: until it has caught up, what was read here must not look unread.
import type { Chat } from "@/api/types.ts";
import { Remembered } from "@/lib/remembered.ts";

/** The `updated_at` of the chat as it was last on the screen. */
const marks = new Remembered<string>("tandem.read");

const covers = (mark: string | undefined, chat: Pick<Chat, "updated_at">) => Date.parse(mark ?? "") >= Date.parse(chat.updated_at);

/** The chat as it stands in this row has been on the screen. */
export function markRead(chat: Pick<Chat, "id" | "updated_at">): void {
  if (!covers(marks.get(chat.id), chat)) marks.set(chat.id, chat.updated_at);
}

/** The same chats, without marks for what was read here. The chat that is open is being read. What is right already stays as it is. */
export function withoutRead(chats: readonly Chat[], openId: string | null): readonly Chat[] {
  const seen = marks.all();
  const clear = (chat: Chat): Chat => {
    if (chat.id === openId) markRead(chat);
    const isSeen = chat.id === openId || covers(seen[chat.id], chat);
    const children = clearAll(chat.children);
    if (children === chat.children && !(chat.has_unread && isSeen)) return chat;
    return { ...chat, children: [...children], has_unread: chat.has_unread && !isSeen };
  };
  const clearAll = (all: readonly Chat[]): readonly Chat[] => {
    const cleared = all.map(clear);
    return cleared.every((chat, index) => chat === all[index]) ? all : cleared;
  };
  return clearAll(chats);
}

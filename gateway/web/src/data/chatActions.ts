// What can be done to a chat from its row, its header or the palette: one implementation, with the list kept in step at once.
import { useQueryClient } from "@tanstack/react-query";
import { type ChatPatch, patchChat } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { toast } from "@/components/toasts.ts";
import { keys } from "./keys.ts";

export interface ChatActions {
  rename: (chat: Chat, title: string) => Promise<void>;
  setPinned: (chat: Chat, pinned: boolean) => Promise<void>;
  /** Archiving can be undone for as long as its message is shown. */
  setArchived: (chat: Chat, archived: boolean) => Promise<void>;
}

export function useChatActions(): ChatActions {
  const client = useQueryClient();
  const change = async (chat: Chat, patch: ChatPatch): Promise<boolean> => {
    const before = client.getQueryData<Chat[]>(keys.chats);
    client.setQueryData<Chat[]>(keys.chats, (chats) => applyPatch(chats, chat, patch));
    try {
      await patchChat(chat.id, patch);
      return true;
    } catch (error) {
      client.setQueryData(keys.chats, before);
      toast(describe(error), { tone: "danger" });
      return false;
    } finally {
      void client.invalidateQueries({ queryKey: keys.chats });
    }
  };
  const setArchived: ChatActions["setArchived"] = async (chat, archived) => {
    if (!(await change(chat, { archived }))) return;
    if (archived) toast(`Archived “${chat.title}”`, { action: { label: "Undo", run: () => void change(chat, { archived: false }) } });
  };
  return {
    rename: async (chat, title) => {
      await change(chat, { title });
    },
    setPinned: async (chat, pinned) => {
      await change(chat, { pin_order: pinned ? 1 : 0 });
    },
    setArchived,
  };
}

function applyPatch(chats: Chat[] | undefined, chat: Chat, patch: ChatPatch): Chat[] | undefined {
  if (patch.archived === true) return chats?.filter((c) => c.id !== chat.id);
  const pinned = (chats ?? []).filter((c) => c.pin_order > 0).length;
  return chats?.map((c) =>
    c.id === chat.id
      ? { ...c, title: patch.title ?? c.title, pin_order: patch.pin_order === undefined ? c.pin_order : patch.pin_order && pinned + 1 }
      : c,
  );
}

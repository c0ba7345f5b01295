// What can be done to a chat from its row, its header or the palette: one implementation, with the list kept in step at once.
import { useQueryClient } from "@tanstack/react-query";
import { type ChatPatch, patchChat, regenerateTitle } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import type { ApprovalMode, Chat } from "@/api/types.ts";
import { dismiss, toast } from "@/components/toasts.ts";
import { plainTitle } from "@/lib/title.ts";
import { isBusy } from "@/stream/view.ts";
import { archivedText, patched } from "./chatList.ts";
import { keys } from "./keys.ts";

export interface ChatActions {
  rename: (chat: Chat, title: string) => Promise<void>;
  /** By a model. Can be taken back for as long as its message is shown. */
  nameAnew: (chat: Chat) => Promise<void>;
  setPinned: (chat: Chat, pinned: boolean) => Promise<void>;
  /** Replaces all of them. */
  setLabels: (chat: Chat, labels: Record<string, string>) => Promise<boolean>;
  /** Throws what the server refuses it with: the operator may ask for more. */
  setApprovalMode: (chat: Chat, mode: ApprovalMode) => Promise<void>;
  /** With its children. Archiving can be undone for as long as its message is shown. */
  setArchived: (chat: Chat, archived: boolean) => Promise<void>;
}

export function useChatActions(): ChatActions {
  const client = useQueryClient();
  /** Shown at once, and taken back if it is refused. */
  const apply = async (chat: Chat, patch: ChatPatch): Promise<void> => {
    const before = [keys.chats, keys.archivedChats].map((key) => [key, client.getQueryData<Chat[]>(key)] as const);
    for (const [key] of before) client.setQueryData<Chat[]>(key, (chats) => chats && patched(chats, chat.id, patch));
    const alone = client.getQueryData<Chat>(keys.chat(chat.id));
    client.setQueryData<Chat>(keys.chat(chat.id), (one) => one && patched([one], chat.id, { ...patch, archived: undefined })[0]);
    try {
      await patchChat(chat.id, patch);
    } catch (error) {
      for (const [key, chats] of before) client.setQueryData(key, chats);
      client.setQueryData(keys.chat(chat.id), alone);
      throw error;
    } finally {
      void client.invalidateQueries({ queryKey: keys.chats });
    }
  };
  const change = (chat: Chat, patch: ChatPatch): Promise<boolean> =>
    apply(chat, patch).then(
      () => true,
      (error: unknown) => {
        toast(describe(error), { tone: "danger" });
        return false;
      },
    );
  const keepTitle = (id: string, title: string) => {
    client.setQueryData<Chat[]>(keys.chats, (chats) => chats && patched(chats, id, { title }));
    client.setQueryData<Chat>(keys.chat(id), (one) => one && patched([one], id, { title })[0]);
  };
  return {
    rename: async (chat, title) => {
      await change(chat, { title });
    },
    nameAnew: async (chat) => {
      const asking = toast("Thinking of a title…");
      try {
        const { title } = await regenerateTitle(chat.id);
        keepTitle(chat.id, title);
        if (title === chat.title) toast("No better title was found");
        else toast(`Now called “${plainTitle(title)}”`, { action: { label: "Undo", run: () => void change({ ...chat, title }, { title: chat.title }) } });
      } catch (error) {
        toast(describe(error), { tone: "danger" });
      } finally {
        dismiss(asking);
      }
    },
    setPinned: async (chat, pinned) => {
      await change(chat, { pin_order: pinned ? 1 : 0 });
    },
    setApprovalMode: (chat, approval_mode) => apply(chat, { approval_mode }),
    setLabels: (chat, labels) => change(chat, { labels }),
    setArchived: async (chat, archived) => {
      const family = [chat, ...chat.children];
      const text = archivedText(plainTitle(chat.title), chat.children.length, family.some((member) => isBusy(member.status)));
      if (!(await change(chat, { archived }))) return;
      if (archived) toast(text, { action: { label: "Undo", run: () => void change(chat, { archived: false }) } });
      else toast(`Restored “${plainTitle(chat.title)}”`);
    },
  };
}

import { Archive, ArchiveRestore, Pencil, Pin, PinOff, Sparkles, Tag } from "lucide-react";
import { lazy, type ReactNode, Suspense, useState } from "react";
import type { Chat } from "@/api/types.ts";
import { useChatActions } from "@/data/chatActions.ts";
import { isBusy } from "@/stream/view.ts";
import type { MenuEntry } from "./Menu.tsx";

const LabelsDialog = lazy(() => import("./LabelsDialog.tsx"));

interface ChatMenu {
  entries: MenuEntry[];
  isRenaming: boolean;
  setRenaming: (renaming: boolean) => void;
  /** To be put on the page beside the menu. */
  dialog: ReactNode;
}

/** What can be done to a chat, the same wherever it is offered. */
export function useChatMenu(chat: Chat | undefined): ChatMenu {
  const { nameAnew, setArchived, setPinned } = useChatActions();
  const [isRenaming, setRenaming] = useState(false);
  const [isLabelling, setLabelling] = useState(false);
  const entries = chat ? [...editEntries(chat), ...archiveEntries(chat)] : [];

  function editEntries(of: Chat): MenuEntry[] {
    const isChild = of.parent_chat_id !== undefined;
    const pin: MenuEntry =
      of.pin_order > 0
        ? { label: "Unpin", icon: <PinOff />, onSelect: () => void setPinned(of, false) }
        : { label: "Pin", icon: <Pin />, onSelect: () => void setPinned(of, true) };
    return [
      { label: "Rename", icon: <Pencil />, onSelect: () => setRenaming(true) },
      { label: "Name it anew", hint: "by a model", icon: <Sparkles />, onSelect: () => void nameAnew(of) },
      ...(isChild || of.archived ? [] : [pin]),
      { label: "Labels…", icon: <Tag />, onSelect: () => setLabelling(true) },
    ];
  }

  function archiveEntries(of: Chat): MenuEntry[] {
    const hint = familyHint(of);
    // A sub-chat comes back with the chat it belongs to.
    if (of.archived && of.parent_chat_id !== undefined) return [];
    if (of.archived) return [{ label: "Restore", ...(hint && { hint }), icon: <ArchiveRestore />, onSelect: () => void setArchived(of, false) }];
    const all = [hint, isBusy(of.status) ? "stops the agent" : ""].filter(Boolean).join("; ");
    return [{ label: "Archive", ...(all && { hint: all }), icon: <Archive />, onSelect: () => void setArchived(of, true) }];
  }

  const dialog = isLabelling && chat ? (
    <Suspense>
      <LabelsDialog chat={chat} onClose={() => setLabelling(false)} />
    </Suspense>
  ) : null;
  return { entries, isRenaming, setRenaming, dialog };
}

function familyHint(chat: Chat): string {
  const count = chat.children.length;
  return count === 0 ? "" : `with its ${count === 1 ? "sub-chat" : `${String(count)} sub-chats`}`;
}

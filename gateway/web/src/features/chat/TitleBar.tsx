import { Archive, ArchiveRestore, ClipboardCopy, Ellipsis, Pencil, Pin, PinOff } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useState } from "react";
import type { Chat } from "@/api/types.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { toast } from "@/components/toasts.ts";
import { useChatActions } from "@/data/chatActions.ts";

interface TitleBarProps {
  chat: Chat | undefined;
  /** Behind the title: how alive the page is. */
  badge: ReactNode;
  /** Before the title: what the shell puts there, such as the button for the list. */
  lead: ReactNode;
}

export function TitleBar({ chat, badge, lead }: TitleBarProps) {
  const [renaming, setRenaming] = useState(false);
  const { setArchived, setPinned } = useChatActions();
  return (
    <header className="flex h-13 shrink-0 items-center gap-2 border-b border-line px-3">
      {lead}
      <div className="flex min-w-0 flex-1 items-center gap-3 pl-1">
        {chat && renaming ? <Rename chat={chat} onDone={() => setRenaming(false)} /> : null}
        {renaming ? null : (
          <h1 className="min-w-0 truncate text-sm font-semibold">
            {chat ? (
              <button type="button" title="Rename" className="max-w-full truncate rounded-md px-1 py-0.5 hover:bg-hover" onClick={() => setRenaming(true)}>
                {chat.title}
              </button>
            ) : (
              "…"
            )}
          </h1>
        )}
        {badge}
      </div>
      {chat ? (
        <Menu
          trigger={
            <IconButton label="More" tipSide="left">
              <Ellipsis size={17} />
            </IconButton>
          }
          entries={[
            { label: "Rename", icon: <Pencil />, onSelect: () => setRenaming(true) },
            chat.pin_order > 0
              ? { label: "Unpin", icon: <PinOff />, onSelect: () => void setPinned(chat, false) }
              : { label: "Pin", icon: <Pin />, disabled: chat.archived, onSelect: () => void setPinned(chat, true) },
            {
              label: "Copy chat id",
              icon: <ClipboardCopy />,
              onSelect: () => void navigator.clipboard.writeText(chat.id).then(() => toast("Copied")),
            },
            "separator",
            chat.archived
              ? { label: "Restore", icon: <ArchiveRestore />, onSelect: () => void setArchived(chat, false) }
              : { label: "Archive", icon: <Archive />, onSelect: () => void setArchived(chat, true) },
          ]}
        />
      ) : null}
    </header>
  );
}

function Rename({ chat, onDone }: { chat: Chat; onDone: () => void }) {
  const { rename } = useChatActions();
  const [title, setTitle] = useState(chat.title);
  const save = () => {
    const wanted = title.trim();
    if (wanted !== "" && wanted !== chat.title) void rename(chat, wanted);
    onDone();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") save();
    if (event.key === "Escape") onDone();
  };
  return (
    <input
      // oxlint-disable-next-line jsx-a11y/no-autofocus -- the reader has just asked to type here
      autoFocus
      aria-label="Title"
      maxLength={200}
      value={title}
      onChange={(event) => setTitle(event.target.value)}
      onFocus={(event) => event.target.select()}
      onBlur={save}
      onKeyDown={onKeyDown}
      className="h-8 min-w-0 flex-1 rounded-md border border-line-strong bg-canvas px-2 text-sm font-semibold"
    />
  );
}

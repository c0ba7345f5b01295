import { Link } from "@tanstack/react-router";
import { Archive, ArchiveRestore, Ellipsis, Pin, PinOff } from "lucide-react";
import { memo } from "react";
import type { Chat } from "@/api/types.ts";
import { Menu } from "@/components/Menu.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { StatusDot } from "@/components/StatusDot.tsx";
import { useChatActions } from "@/data/chatActions.ts";
import { classes } from "@/lib/classes.ts";

interface ChatRowProps {
  chat: Chat;
  openId: string | null;
  isChild?: boolean;
}

export const ChatRow = memo(function ChatRow({ chat, openId, isChild = false }: ChatRowProps) {
  const isOpen = chat.id === openId;
  const unread = chat.has_unread && !isOpen;
  return (
    <li>
      <div className={classes("group relative rounded-md", isOpen ? "bg-selected" : "hover:bg-hover", isChild && "ml-4")}>
        <Link
          to="/chats/$chatId"
          params={{ chatId: chat.id }}
          aria-current={isOpen ? "page" : undefined}
          className="row-link block rounded-md px-2 py-1.5 -outline-offset-2"
        >
          <span className="flex items-center gap-2">
            <span className={classes("min-w-0 flex-1 truncate text-sm", unread && "font-semibold")}>{chat.title}</span>
            <StatusDot status={chat.status} unread={unread} />
            <RelativeTime iso={chat.updated_at} className="shrink-0 text-xs text-faint tabular-nums group-focus-within:invisible group-hover:invisible max-sm:mr-9 max-sm:visible!" />
          </span>
          <Line chat={chat} />
        </Link>
        <RowMenu chat={chat} />
      </div>
      {chat.children.length > 0 ? (
        <ul>
          {chat.children.map((child) => (
            <ChatRow key={child.id} chat={child} openId={openId} isChild />
          ))}
        </ul>
      ) : null}
    </li>
  );
});

function Line({ chat }: { chat: Chat }) {
  if (chat.status === "error") return <span className="block truncate text-xs text-danger">{chat.last_error?.message ?? "Failed"}</span>;
  if (chat.status === "requires_action") return <span className="block truncate text-xs text-warn">Waiting for you</span>;
  return chat.last_turn_summary ? <span className="row-summary block truncate text-xs text-faint">{chat.last_turn_summary}</span> : null;
}

function RowMenu({ chat }: { chat: Chat }) {
  const { setArchived, setPinned } = useChatActions();
  return (
    <Menu
      trigger={
        <button
          type="button"
          aria-label={`Actions for ${chat.title}`}
          className="absolute top-1 right-1 grid size-6 place-items-center rounded-md text-muted opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 hover:bg-selected hover:text-ink data-[state=open]:opacity-100 max-sm:top-0 max-sm:size-9 max-sm:opacity-100"
        >
          <Ellipsis size={15} />
        </button>
      }
      entries={
        chat.archived
          ? [{ label: "Restore", icon: <ArchiveRestore />, onSelect: () => void setArchived(chat, false) }]
          : [
              chat.pin_order > 0
                ? { label: "Unpin", icon: <PinOff />, onSelect: () => void setPinned(chat, false) }
                : { label: "Pin", icon: <Pin />, disabled: chat.parent_chat_id !== undefined, onSelect: () => void setPinned(chat, true) },
              { label: "Archive", icon: <Archive />, onSelect: () => void setArchived(chat, true) },
            ]
      }
    />
  );
}

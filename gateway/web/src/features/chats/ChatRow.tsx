import { Link } from "@tanstack/react-router";
import { Ellipsis } from "lucide-react";
import { type KeyboardEvent, memo } from "react";
import type { Chat, ChatStatus } from "@/api/types.ts";
import { focusSoon } from "@/components/focus.ts";
import { LabelChip } from "@/components/LabelChip.tsx";
import { Menu, type MenuEntry } from "@/components/Menu.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { RenameField } from "@/components/RenameField.tsx";
import { StatusDot } from "@/components/StatusDot.tsx";
import { Title } from "@/components/Title.tsx";
import { useChatMenu } from "@/components/useChatMenu.tsx";
import { classes } from "@/lib/classes.ts";
import { labelsOf } from "@/lib/labels.ts";
import { plainTitle } from "@/lib/title.ts";

/** Labels beyond these are only counted. */
const SHOWN_LABELS = 2;
/** Keys that work on a row that has the focus, by the entry of its menu. */
const KEYS: Record<string, RegExp> = { F2: /^Rename/, p: /^(?:Pin|Unpin)/, e: /^(?:Archive|Restore)/ };

const rowSelector = (id: string) => `[data-walk=chat][href$="/${CSS.escape(id)}"]`;

interface ChatRowProps {
  chat: Chat;
  openId: string | null;
}

export const ChatRow = memo(function ChatRow({ chat, openId }: ChatRowProps) {
  const { entries, isRenaming, setRenaming, dialog } = useChatMenu(chat);
  const isOpen = chat.id === openId;
  const unread = chat.has_unread && !isOpen;
  const onKeyDown = (event: KeyboardEvent) => {
    const wanted = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
    const entry = wanted && entries.find(({ label }) => wanted.test(label));
    if (!entry) return;
    event.preventDefault();
    entry.onSelect();
    if (event.key === "p") focusSoon(rowSelector(chat.id));
  };
  const endRenaming = (byKey: boolean) => {
    setRenaming(false);
    if (byKey) focusSoon(rowSelector(chat.id));
  };
  return (
    <li>
      {isRenaming ? (
        <div className="flex py-0.5">
          <RenameField chat={chat} onDone={endRenaming} />
        </div>
      ) : (
        <div className={classes("group relative rounded-md", isOpen ? "bg-selected" : "hover:bg-hover")}>
          <Link
            to="/chats/$chatId"
            params={{ chatId: chat.id }}
            data-walk="chat"
            aria-current={isOpen ? "page" : undefined}
            onKeyDown={onKeyDown}
            className="row-link flex flex-col justify-center rounded-md px-2 py-1.5 -outline-offset-2 touch:min-h-11"
          >
            <span className="flex items-center gap-2">
              <span className={classes("min-w-0 flex-1 truncate text-sm", unread && "font-semibold", chat.archived && "text-muted")}>
                <Title text={chat.title} />
              </span>
              <StatusDot status={chat.status} unread={unread} />
              <RelativeTime iso={chat.updated_at} className="shrink-0 text-xs text-faint tabular-nums group-focus-within:invisible group-hover:invisible touch:mr-9 touch:visible!" />
            </span>
            <Line chat={chat} />
            <RowLabels chat={chat} />
          </Link>
          <RowMenu title={plainTitle(chat.title)} entries={entries} />
        </div>
      )}
      {dialog}
      {chat.children.length > 0 ? (
        <ul aria-label={`Sub-chats of ${plainTitle(chat.title)}`} className="mb-1 ml-3 border-l border-line pl-1">
          {chat.children.map((child) => (
            <ChatRow key={child.id} chat={child} openId={openId} />
          ))}
        </ul>
      ) : null}
    </li>
  );
});

function Line({ chat }: { chat: Chat }) {
  if (chat.status === "error") return <span className="block truncate text-xs text-danger">{chat.last_error?.message ?? "Failed"}</span>;
  if (chat.status === "requires_action") return <span className="block truncate text-xs text-warn">Waiting for you</span>;
  const line = chat.last_turn_summary ? plainTitle(chat.last_turn_summary) : chat.parent_chat_id === undefined ? "" : SUB_CHAT_LINES[chat.status];
  return line ? <span className="row-summary block truncate text-xs text-faint">{line}</span> : null;
}

/** The server summarizes the turns of root chats only; what a sub-chat is doing is known all the same. */
const SUB_CHAT_LINES: Partial<Record<ChatStatus, string>> = { pending: "Starting", running: "Working", waiting: "Idle" };

function RowLabels({ chat }: { chat: Chat }) {
  const labels = labelsOf(chat.labels);
  if (labels.length === 0) return null;
  return (
    <span className="row-summary mt-1 flex min-w-0 gap-1 overflow-hidden">
      {labels.slice(0, SHOWN_LABELS).map((label) => (
        <LabelChip key={label.key} label={label} />
      ))}
      {labels.length > SHOWN_LABELS ? <span className="shrink-0 text-xs leading-[20px] text-faint">+{labels.length - SHOWN_LABELS}</span> : null}
    </span>
  );
}

function RowMenu({ title, entries }: { title: string; entries: readonly MenuEntry[] }) {
  return (
    <Menu
      trigger={
        <button
          type="button"
          aria-label={`Actions for ${title}`}
          className="absolute top-1 right-1 grid size-6 place-items-center rounded-md text-muted opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 hover:bg-selected hover:text-ink data-[state=open]:opacity-100 touch:top-0 touch:right-0 touch:size-11 touch:opacity-100"
        >
          <Ellipsis size={15} />
        </button>
      }
      entries={entries}
    />
  );
}

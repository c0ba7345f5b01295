import { Link, useNavigate } from "@tanstack/react-router";
import { Settings, SquarePen } from "lucide-react";
import { type ReactNode, useDeferredValue, useState } from "react";
import type { User } from "@/api/types.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Logo } from "@/components/Logo.tsx";
import { ChatList } from "./ChatList.tsx";
import { SearchBox } from "./SearchBox.tsx";

interface SidebarProps {
  openId: string | null;
  me: User | undefined;
  /** Beside the mark: the button that hides the list. */
  lead: ReactNode;
  /** Whether the feed behind the list is alive. */
  notice: ReactNode;
  /** The account menu's trigger and content. */
  account: ReactNode;
}

export function Sidebar({ openId, me, lead, notice, account }: SidebarProps) {
  const navigate = useNavigate();
  const [search, setSearch] = useState("");
  const wanted = useDeferredValue(search);
  return (
    <div className="flex h-full flex-col bg-side">
      <div className="flex h-13 shrink-0 items-center gap-2 pr-2 pl-4">
        <Logo size={20} />
        <span className="flex-1 text-sm font-semibold tracking-tight">Tandem</span>
        {lead}
        <IconButton label="New chat" tipSide="left" onClick={() => void navigate({ to: "/" })}>
          <SquarePen size={16} />
        </IconButton>
      </div>
      <SearchBox text={search} onChange={setSearch} />
      {notice}
      <nav aria-label="Chats" className="min-h-0 flex-1 overflow-y-auto px-2 pb-4">
        <ChatList openId={openId} search={wanted} />
      </nav>
      <div className="flex h-13 shrink-0 items-center gap-1 border-t border-line px-2">
        {account}
        <Link
          to="/settings/models"
          aria-label={me ? `Settings of ${me.username}` : "Settings"}
          data-tip="Settings"
          data-tip-side="top"
          className="tip grid size-8 place-items-center rounded-md text-muted hover:bg-hover hover:text-ink touch:size-11"
        >
          <Settings size={16} />
        </Link>
      </div>
    </div>
  );
}

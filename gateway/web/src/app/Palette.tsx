import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { BookOpen, Box, Coins, Gauge, GitBranch, Keyboard, KeyRound, LayoutTemplate, MessageSquare, Moon, Plug, Settings, SquarePen, Sun, SwatchBook, User, Users, Waypoints } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { Dialog } from "@/components/Dialog.tsx";
import { StatusDot } from "@/components/StatusDot.tsx";
import { Title } from "@/components/Title.tsx";
import { useUsableServers } from "@/data/mcp.ts";
import { usePrefs } from "@/data/prefs.ts";
import { useTakesOwnKeys } from "@/data/providers.ts";
import { useChats, useIsAdministrator } from "@/data/queries.ts";
import { plainTitle } from "@/lib/title.ts";

const ITEM = "flex min-h-9 cursor-default items-center gap-3 rounded-md px-3 py-1.5 text-sm data-[selected=true]:bg-hover touch:min-h-11";

interface PaletteProps {
  onClose: () => void;
  onShortcuts: () => void;
}

export default function Palette({ onClose, onShortcuts }: PaletteProps) {
  const navigate = useNavigate();
  const input = useRef<HTMLInputElement>(null);
  // It is opened in order to type. The dialog, once open, would give the focus to the first thing that can take it.
  useEffect(() => input.current?.focus(), []);
  const { data: chats = [] } = useChats();
  const isAdministrator = useIsAdministrator() === true;
  const takesOwnKeys = useTakesOwnKeys();
  const servers = useUsableServers();
  const set = usePrefs((prefs) => prefs.set);
  const isDark = document.documentElement.dataset["theme"] === "dark";
  const actions: { name: string; icon: ReactNode; run: () => void }[] = [
    { name: "New chat", icon: <SquarePen />, run: () => void navigate({ to: "/" }) },
    { name: "Settings: models and providers", icon: <Settings />, run: () => void navigate({ to: "/settings/models" }) },
    { name: "Settings: workspaces", icon: <Box />, run: () => void navigate({ to: "/settings/workspaces" }) },
    ...(isAdministrator ? [{ name: "Settings: templates", icon: <LayoutTemplate />, run: () => void navigate({ to: "/settings/templates" }) }] : []),
    { name: "Settings: my skills", icon: <BookOpen />, run: () => void navigate({ to: "/settings/skills" }) },
    { name: "Settings: git credentials", icon: <GitBranch />, run: () => void navigate({ to: "/settings/git" }) },
    ...(isAdministrator || servers.length > 0 ? [{ name: "Settings: MCP servers", icon: <Plug />, run: () => void navigate({ to: "/settings/mcp" }) }] : []),
    { name: "Settings: your usage", icon: <Gauge />, run: () => void navigate({ to: "/settings/usage" }) },
    ...(isAdministrator ? [{ name: "Settings: spend and limits", icon: <Coins />, run: () => void navigate({ to: "/settings/spend" }) }] : []),
    { name: "Settings: users", icon: <Users />, run: () => void navigate({ to: "/settings/users" }) },
    ...(takesOwnKeys ? [{ name: "Settings: my keys", icon: <KeyRound />, run: () => void navigate({ to: "/settings/keys" }) }] : []),
    { name: "Settings: AI gateway for programs", icon: <Waypoints />, run: () => void navigate({ to: "/settings/gateway" }) },
    { name: "Settings: API tokens", icon: <KeyRound />, run: () => void navigate({ to: "/settings/tokens" }) },
    { name: "Settings: your account and password", icon: <User />, run: () => void navigate({ to: "/settings/account" }) },
    { name: "Settings: appearance", icon: <SwatchBook />, run: () => void navigate({ to: "/settings/look" }) },
    { name: isDark ? "Light theme" : "Dark theme", icon: isDark ? <Sun /> : <Moon />, run: () => set({ theme: isDark ? "light" : "dark" }) },
    { name: "Keyboard shortcuts", icon: <Keyboard />, run: onShortcuts },
  ];
  const pick = (run: () => void) => {
    onClose();
    run();
  };
  return (
    <Dialog label="Search chats and actions" onClose={onClose} className="mt-[12dvh]! w-[min(560px,calc(100vw-32px))]!">
      <Command label="Search chats and actions" loop>
        <Command.Input ref={input} placeholder="Search chats and actions" className="h-12 w-full border-b border-line bg-transparent px-4 outline-none" />
        <Command.List className="max-h-[min(420px,60dvh)] overflow-y-auto p-1.5">
          <Command.Empty className="px-3 py-6 text-center text-sm text-faint">Nothing matches.</Command.Empty>
          <Command.Group className="[&_[cmdk-group-heading]]:px-3 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-faint" heading="Actions">
            {actions.map((action) => (
              <Command.Item key={action.name} className={ITEM} onSelect={() => pick(action.run)}>
                <span className="text-muted [&>svg]:size-4">{action.icon}</span>
                {action.name}
              </Command.Item>
            ))}
          </Command.Group>
          <Command.Group className="[&_[cmdk-group-heading]]:px-3 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-faint" heading="Chats">
            {chats.map((chat) => (
              <Command.Item key={chat.id} value={`${plainTitle(chat.title)} ${chat.id}`} className={ITEM} onSelect={() => pick(() => void navigate({ to: "/chats/$chatId", params: { chatId: chat.id } }))}>
                <MessageSquare size={16} className="shrink-0 text-muted" />
                <span className="min-w-0 flex-1 truncate">
                  <Title text={chat.title} />
                </span>
                <StatusDot status={chat.status} unread={chat.has_unread} />
              </Command.Item>
            ))}
          </Command.Group>
        </Command.List>
      </Command>
    </Dialog>
  );
}

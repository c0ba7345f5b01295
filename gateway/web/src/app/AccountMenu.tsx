import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command, Keyboard, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { logout } from "@/api/account.ts";
import { describe } from "@/api/problem.ts";
import type { User } from "@/api/types.ts";
import { Menu } from "@/components/Menu.tsx";
import { toast } from "@/components/toasts.ts";
import { type Theme, usePrefs } from "@/data/prefs.ts";
import { forgetSessions } from "@/stream/session.ts";

interface AccountMenuProps {
  me: User | undefined;
  onPalette: () => void;
  onShortcuts: () => void;
}

export function AccountMenu({ me, onPalette, onShortcuts }: AccountMenuProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const { theme, set } = usePrefs();
  const choose = (wanted: Theme) => ({ checked: theme === wanted, onSelect: () => set({ theme: wanted }) });
  const signOut = async () => {
    try {
      await logout();
      forgetSessions();
      await navigate({ to: "/login" });
      client.clear();
    } catch (error) {
      toast(describe(error), { tone: "danger" });
    }
  };
  const name = me?.name || me?.username || "…";
  return (
    <Menu
      side="top"
      align="start"
      entries={[
        { label: "Search and actions", icon: <Command />, onSelect: onPalette },
        { label: "Keyboard shortcuts", icon: <Keyboard />, onSelect: onShortcuts },
        "separator",
        { label: "As the system", icon: <Monitor />, ...choose("system") },
        { label: "Light", icon: <Sun />, ...choose("light") },
        { label: "Dark", icon: <Moon />, ...choose("dark") },
        "separator",
        { label: "Sign out", icon: <LogOut />, onSelect: () => void signOut() },
      ]}
      trigger={
        <button type="button" className="flex h-9 min-w-0 flex-1 items-center gap-2.5 rounded-md px-2 text-left text-sm hover:bg-hover touch:h-11">
          <span aria-hidden className="grid size-6 shrink-0 place-items-center rounded-full bg-selected text-xs font-semibold text-muted uppercase">
            {name.charAt(0)}
          </span>
          <span className="truncate">{name}</span>
        </button>
      }
    />
  );
}

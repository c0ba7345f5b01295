import { Link2, Plug } from "lucide-react";
import type { McpServer } from "@/api/mcp.ts";
import { Menu, type MenuEntry, type MenuProps } from "@/components/Menu.tsx";
import { ServerIcon } from "@/components/ServerIcon.tsx";
import { connectAccount, useUsableServers } from "@/data/mcp.ts";
import { lacksAccount } from "@/lib/mcp.ts";
import { MAX_CHOSEN, usedServers, usedText } from "@/lib/mcpChoice.ts";
import type { ServerChoice } from "./useServerChoice.ts";

type Entries = MenuProps["entries"];

/** Which MCP servers a chat uses; nothing where there are none. */
export function ServerPicker({ choice }: { choice: ServerChoice }) {
  const servers = useUsableServers();
  if (servers.length === 0) return null;
  const used = usedServers(servers, choice.chosen);
  const text = usedText(used);
  return (
    <Menu
      label={choice.isBegun ? "MCP servers, from your next message on" : "MCP servers of this chat"}
      side="top"
      align="start"
      entries={entriesFor(servers, choice)}
      trigger={
        <button
          type="button"
          aria-label={used.length === 0 ? "MCP servers: none" : `MCP: ${used.length === 1 ? "1 server" : `${String(used.length)} servers`}, ${used.map(({ display_name }) => display_name).join(", ")}`}
          data-tip={text === "" ? "Use MCP servers" : undefined}
          data-tip-side="top"
          className="tip flex h-8 min-w-0 items-center gap-1.5 rounded-md px-2 text-sm text-muted hover:bg-hover hover:text-ink touch:h-11 touch:min-w-11"
        >
          <Plug size={15} className="shrink-0" aria-hidden />
          {text === "" ? null : (
            <>
              <span className="max-w-40 truncate max-sm:hidden">{text}</span>
              <span className="tabular-nums sm:hidden">{used.length}</span>
            </>
          )}
        </button>
      }
    />
  );
}

function entriesFor(servers: readonly McpServer[], { chosen, toggle }: ServerChoice): Entries {
  const forced = servers.filter(({ availability }) => availability === "force_on");
  const others = servers.filter(({ availability }) => availability !== "force_on");
  const isFull = chosen.length >= MAX_CHOSEN;
  return [
    ...others.flatMap((server) => {
      const checked = chosen.includes(server.id);
      const entry = { ...entryFor(server, checked), disabled: isFull && !checked, onSelect: () => toggle(server.id), ...(server.description && { hint: server.description }) };
      return [entry, ...connectEntries(server, checked)];
    }),
    ...(forced.length > 0 && others.length > 0 ? ["separator" as const] : []),
    ...forced.flatMap((server) => [{ ...entryFor(server, true), hint: "Always on, in every chat", disabled: true }, ...connectEntries(server, true)]),
  ];
}

function entryFor(server: McpServer, checked: boolean): MenuEntry {
  return { id: server.id, label: server.display_name, icon: <ServerIcon server={server} />, checked, isOneOfSeveral: true, onSelect: () => undefined };
}

/** Below a server that the chat uses and that does not know the user yet. */
function connectEntries(server: McpServer, isUsed: boolean): readonly MenuEntry[] {
  if (!isUsed || !lacksAccount(server)) return [];
  return [{ id: `connect-${server.id}`, label: "Connect your account…", hint: `at ${server.display_name}`, icon: <Link2 />, onSelect: () => connectAccount(server) }];
}

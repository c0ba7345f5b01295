import { Link, useNavigate } from "@tanstack/react-router";
import { Activity, Ellipsis, Power, PowerOff, SlidersHorizontal, Trash2 } from "lucide-react";
import { useState } from "react";
import { listMcpTools, type McpServer, patchMcpServer } from "@/api/mcp.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { ServerIcon } from "@/components/ServerIcon.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { AVAILABILITIES, healthWords, transportName } from "@/lib/mcp.ts";
import { Row } from "../models/ModelItem.tsx";
import { useChange } from "../useChange.ts";
import { AccountButton } from "./AccountButton.tsx";
import { RemoveServer } from "./RemoveServer.tsx";
import { ServerBadge, ServerHealth } from "./ServerState.tsx";

/** A server in the list of administrators. */
export function ServerItem({ server }: { server: McpServer }) {
  const { busy, run } = useChange(keys.mcpServers);
  const navigate = useNavigate();
  const [removing, setRemoving] = useState(false);
  const { id, display_name: name } = server;
  const test = async () => {
    await run(async () => {
      const { health } = await listMcpTools(id);
      const words = healthWords(health, Date.now());
      if (words) toast(`${name}: ${words.word}${words.text}`, { tone: words.level === "failing" ? "danger" : "info" });
    });
  };
  const setEnabled = (enabled: boolean) => void run(() => patchMcpServer(id, { enabled }));
  return (
    <Row
      link={
        <Link to="/settings/mcp/$serverId" params={{ serverId: id }} className="flex min-w-0 flex-1 gap-3 rounded-md py-2.5 pl-4 -outline-offset-2 touch:min-h-14">
          <ServerIcon server={server} size={18} className="mt-0.5 self-start text-muted" />
          <span className="min-w-0 flex-1">
            <span className="flex items-center gap-2 text-sm font-medium">
              <span className="truncate">{name}</span>
              <ServerBadge server={server} />
            </span>
            <span className="block truncate text-xs text-faint">{[transportName(server.transport), server.url].join(" · ")}</span>
            <span className="block text-xs text-faint">{AVAILABILITIES[server.availability].name}</span>
            {server.enabled ? <ServerHealth server={server} className="mt-0.5 text-xs text-faint" /> : null}
          </span>
        </Link>
      }
    >
      <Menu
        trigger={
          <IconButton label={`Actions for ${name}`} tipSide="left" disabled={busy}>
            <Ellipsis size={16} />
          </IconButton>
        }
        entries={[
          { label: "Test", icon: <Activity />, onSelect: () => void test() },
          { label: "Settings", icon: <SlidersHorizontal />, onSelect: () => void navigate({ to: "/settings/mcp/$serverId", params: { serverId: id } }) },
          server.enabled ? { label: "Switch off", icon: <PowerOff />, onSelect: () => setEnabled(false) } : { label: "Switch on", icon: <Power />, onSelect: () => setEnabled(true) },
          "separator",
          { label: "Remove…", icon: <Trash2 />, danger: true, onSelect: () => setRemoving(true) },
        ]}
      />
      {removing ? <RemoveServer server={server} onDone={() => setRemoving(false)} /> : null}
    </Row>
  );
}

/** A server as everybody else sees it: whether chats use it, and the account that belongs to it. */
export function MemberItem({ server }: { server: McpServer }) {
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-2 py-2.5 pr-3 pl-4">
      <ServerIcon server={server} size={18} className="text-muted" />
      <span className="min-w-0 flex-1 basis-52">
        <span className="flex items-center gap-2 text-sm font-medium">
          <span className="truncate">{server.display_name}</span>
          <ServerBadge server={server} />
        </span>
        {server.description ? <span className="block text-xs text-muted wrap-anywhere">{server.description}</span> : null}
        <span className="block text-xs text-faint">{server.reconnect_reason || AVAILABILITIES[server.availability].text}</span>
      </span>
      <AccountButton server={server} />
    </li>
  );
}

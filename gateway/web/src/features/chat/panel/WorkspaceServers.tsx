import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plug } from "lucide-react";
import { useState } from "react";
import { approveWorkspaceServer, listWorkspaceServers, withdrawWorkspaceServer, type WorkspaceServer } from "@/api/mcp.ts";
import { describe } from "@/api/problem.ts";
import { Badge } from "@/components/Badge.tsx";
import { Button } from "@/components/Button.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";

/** Looked at again for as long as the tab is open: the file may change at any time. */
const LOOK_MS = 10_000;

/** Servers that a workspace names in `.mcp.json`. None of them runs before a person has seen and approved exactly what would run. */
export function WorkspaceServers({ workspaceId }: { workspaceId: string }) {
  const { data } = useQuery({ queryKey: keys.workspaceServers(workspaceId), queryFn: () => listWorkspaceServers(workspaceId), refetchInterval: LOOK_MS, retry: false });
  // Only the owner of the workspace is told.
  if (data === undefined || data.servers.length === 0) return null;
  return (
    <section aria-label="MCP servers of the workspace">
      <h3 className="mb-1 text-sm font-medium">MCP servers of the workspace</h3>
      <p className="mb-2 text-sm text-muted">Named in its .mcp.json. What you approve runs in the workspace, and only as it stands here.</p>
      <ul className="divide-y divide-line rounded-md border border-line">
        {data.servers.map((server) => (
          <ServerRow key={`${server.name} ${server.digest}`} workspaceId={workspaceId} server={server} tools={data.tools.filter((tool) => tool.server_name === server.name).length} />
        ))}
      </ul>
    </section>
  );
}

const STATES: Record<WorkspaceServer["state"], { text: string; look: "plain" | "accent" | "warn" }> = {
  awaiting_approval: { text: "waits for you", look: "warn" },
  connected: { text: "connected", look: "accent" },
  failed: { text: "failed", look: "warn" },
  invalid: { text: "not usable", look: "warn" },
};

function ServerRow({ workspaceId, server, tools }: { workspaceId: string; server: WorkspaceServer; tools: number }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const run = async (change: (workspaceId: string, digest: string) => Promise<unknown>) => {
    setBusy(true);
    await change(workspaceId, server.digest).catch((error: unknown) => toast(describe(error), { tone: "danger" }));
    await client.invalidateQueries({ queryKey: keys.workspaceServers(workspaceId) });
    setBusy(false);
  };
  const { text, look } = STATES[server.state];
  return (
    <li className="space-y-1.5 px-3.5 py-2.5 text-sm">
      <p className="flex flex-wrap items-center gap-x-2">
        <Plug size={15} className="shrink-0 text-muted" aria-hidden />
        <span className="min-w-0 flex-1 truncate">{server.name}</span>
        {server.state === "connected" ? <span className="text-xs text-faint tabular-nums">{tools === 1 ? "1 tool" : `${String(tools)} tools`} · {server.estimated_tokens.toLocaleString("en-US")} tokens</span> : null}
        <Badge text={text} look={look} />
      </p>
      {server.approved_shown ? (
        <p className="text-xs text-warn">
          You approved something else under this name: <code className="font-mono wrap-anywhere">{server.approved_shown}</code>
        </p>
      ) : null}
      {server.shown === "" ? null : <code className="block rounded-md bg-sunken px-2 py-1 font-mono text-xs wrap-anywhere whitespace-pre-wrap">{server.shown}</code>}
      {server.error ? <p className="text-xs text-danger wrap-anywhere">{server.error}</p> : null}
      {server.state === "awaiting_approval" ? (
        <Button look="primary" busy={busy} aria-label={`Approve ${server.name}`} onClick={() => void run(approveWorkspaceServer)}>
          Approve
        </Button>
      ) : server.approved ? (
        <Button busy={busy} aria-label={`Take back the approval of ${server.name}`} onClick={() => void run(withdrawWorkspaceServer)}>
          Take the approval back
        </Button>
      ) : null}
    </li>
  );
}

import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { type McpServer, patchMcpServer } from "@/api/mcp.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { ServerIcon } from "@/components/ServerIcon.tsx";
import { Switch } from "@/components/Switch.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { useAccountNews, useMcpServers, useMcpTools } from "@/data/mcp.ts";
import { useIsAdministrator } from "@/data/queries.ts";
import { lacksAccount, transportName } from "@/lib/mcp.ts";
import { patchOf } from "@/lib/mcpDraft.ts";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { BackLink } from "../BackLink.tsx";
import { Detail } from "../Detail.tsx";
import { ChangedTools } from "./ChangedTools.tsx";
import { RemoveServer } from "./RemoveServer.tsx";
import { ServerForm } from "./ServerForm.tsx";
import { ServerBadge } from "./ServerState.tsx";
import { ServerTest } from "./ServerTest.tsx";
import { useServerDraft } from "./useServerDraft.ts";

export function ServerPage() {
  const { serverId } = useParams({ strict: false });
  const isAdministrator = useIsAdministrator();
  const { data, error } = useMcpServers();
  useAccountNews();
  const server = data?.find(({ id }) => id === serverId);
  if (isAdministrator === false) return <Notice tone="info" title="Only administrators see how MCP servers are set up." />;
  if (server) return <ServerDetail key={server.id} server={server} />;
  if (error) return <Notice tone="danger" title={describe(error)} />;
  if (data === undefined) return null;
  return (
    <p className="text-sm text-muted">
      There is no such MCP server.{" "}
      <Link to="/settings/mcp" className="rounded-md text-accent underline underline-offset-2">
        Back to MCP servers
      </Link>
      .
    </p>
  );
}

function ServerDetail({ server }: { server: McpServer }) {
  const { busy, run } = useChange(keys.mcpServers);
  const navigate = useNavigate();
  const draft = useServerDraft(server);
  const [removing, setRemoving] = useState(false);
  /** A server that nobody has tried yet is tried at once, unless it would only say that an account is missing. */
  const [asksAtOnce] = useState(server.health === undefined && !lacksAccount(server));
  const tools = useMcpTools(server.id, asksAtOnce);
  const name = server.display_name;
  const patch = patchOf(draft.fields, server);
  const isChanged = Object.keys(patch).length > 0 || !draft.isSound;
  const save = async () => {
    if (!draft.isSound || !(await run(() => patchMcpServer(server.id, patch)))) return;
    draft.discard();
    toast("Saved");
    if (tools.data) void tools.refetch();
  };
  return (
    <Detail
      back={<BackLink to="/settings/mcp" text="MCP servers" />}
      title={name}
      icon={<ServerIcon server={server} size={20} className="text-muted" />}
      badge={<ServerBadge server={server} />}
      text={`${transportName(server.transport)} · ${server.url}`}
      action={<Switch label="In use" checked={server.enabled} disabled={busy} onChange={(enabled) => void run(() => patchMcpServer(server.id, { enabled }))} />}
    >
      <ServerTest server={server} tools={tools} />
      <ChangedTools server={server} tools={tools} />
      <ServerForm server={server} draft={draft} offered={tools.data?.tools} onSubmit={() => void save()}>
        {isChanged ? (
          <div className="sticky bottom-3 z-10 -mx-2 mb-8 flex flex-wrap items-center justify-between gap-3 rounded-xl border border-line bg-raised py-2.5 pr-2.5 pl-4 text-sm shadow-pop">
            <span role="status">{draft.isSound ? "Not saved yet" : "Something is not right yet"}</span>
            <span className="flex gap-2">
              <Button look="quiet" onClick={draft.discard}>
                Discard
              </Button>
              <Button type="submit" look="primary" busy={busy} disabled={!draft.isSound}>
                Save
              </Button>
            </span>
          </div>
        ) : null}
      </ServerForm>
      <Section title="Remove" text="Its secrets and everybody's accounts go with it. Chats keep what it answered.">
        <Button look="danger" onClick={() => setRemoving(true)}>
          Remove {name}…
        </Button>
      </Section>
      {removing ? <RemoveServer server={server} onDone={() => setRemoving(false)} onRemoved={() => void navigate({ to: "/settings/mcp" })} /> : null}
    </Detail>
  );
}

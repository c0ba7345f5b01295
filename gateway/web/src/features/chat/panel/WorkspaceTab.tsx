import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { patchChat } from "@/api/chats.ts";
import { ApiError, describe } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { AgentCommand } from "@/components/AgentCommand.tsx";
import { Notice } from "@/components/Notice.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { toast } from "@/components/toasts.ts";
import { WorkspaceButtons } from "@/components/WorkspaceButtons.tsx";
import { WorkspaceState } from "@/components/WorkspaceState.tsx";
import { keys } from "@/data/keys.ts";
import { useMe } from "@/data/queries.ts";
import { useWorkspace, useWorkspaces } from "@/data/workspaces.ts";

/** Says "none" where an id is expected. */
const NO_WORKSPACE = "00000000-0000-0000-0000-000000000000";

/** Where the agent of this chat works, and moving it elsewhere. */
export function WorkspaceTab({ chat }: { chat: Chat }) {
  return (
    <div className="space-y-7">
      {chat.workspace_id ? <Bound workspaceId={chat.workspace_id} /> : <p className="text-sm text-muted">This chat has no workspace yet. The first tool the agent uses gives it one: a place to run commands and keep files, shut in from everything else.</p>}
      <Move chat={chat} />
    </div>
  );
}

function Bound({ workspaceId }: { workspaceId: string }) {
  const { data: workspace, error } = useWorkspace(workspaceId);
  if (error instanceof ApiError && error.status === 404) return <Notice tone="warn" title="The workspace of this chat was deleted." />;
  if (workspace === undefined) return error ? <Notice tone="danger" title={describe(error)} /> : null;
  return (
    <section aria-label="Workspace">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        <div className="min-w-0">
          <h3 className="truncate text-sm font-medium">
            <Link to="/settings/workspaces/$workspaceId" params={{ workspaceId }} className="rounded-md underline-offset-2 hover:underline">
              {workspace.name}
            </Link>
          </h3>
          <p className="text-xs text-faint">
            {workspace.template_name} · used <RelativeTime iso={workspace.last_used_at} />
          </p>
        </div>
        <WorkspaceButtons workspace={workspace} />
      </div>
      <p className="text-sm">
        <WorkspaceState workspace={workspace} />
      </p>
      {workspace.agent.status === "resting" ? <p className="mt-1 text-sm text-muted">Its agent rests, and is there again with the next tool.</p> : null}
      {workspace.backend === "external" && workspace.agent.status === "disconnected" ? <p className="mt-1 text-sm text-muted">What runs there goes on. The agent dials in again by itself, and is then asked how it went.</p> : null}
      {workspace.status_message ? <p className="mt-1 text-sm text-danger wrap-anywhere">{workspace.status_message}</p> : null}
      {workspace.backend === "external" && workspace.agent.status !== "connected" ? (
        <div className="mt-4">
          <AgentCommand workspace={workspace} />
        </div>
      ) : null}
    </section>
  );
}

/** Only to workspaces of one's own: that is where the chat's owner may work. */
function Move({ chat }: { chat: Chat }) {
  const client = useQueryClient();
  const { data } = useWorkspaces();
  const { data: me } = useMe();
  const [busy, setBusy] = useState(false);
  const own = data?.workspaces.filter(({ owner_id, status }) => owner_id === me?.id && status !== "deleting") ?? [];
  if (chat.owner_id !== me?.id || own.length === 0 || chat.archived) return null;
  const move = async (id: string) => {
    setBusy(true);
    try {
      await patchChat(chat.id, { workspace_id: id || NO_WORKSPACE });
      await Promise.all([client.invalidateQueries({ queryKey: keys.chats }), client.invalidateQueries({ queryKey: keys.chat(chat.id) })]);
    } catch (error) {
      toast(describe(error), { tone: "danger" });
    } finally {
      setBusy(false);
    }
  };
  return (
    <SelectField label="Work in" hint="From the agent's next step on." value={chat.workspace_id ?? ""} disabled={busy} onChange={(event) => void move(event.target.value)}>
      <option value="">A new one, when it is needed</option>
      {own.map(({ id, name, template_name }) => (
        <option key={id} value={id}>
          {name} ({template_name})
        </option>
      ))}
    </SelectField>
  );
}

import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Box } from "lucide-react";
import { useState } from "react";
import { ApiError, describe } from "@/api/problem.ts";
import { deleteWorkspace, type Workspace } from "@/api/workspaces.ts";
import { AgentCommand } from "@/components/AgentCommand.tsx";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { WorkspaceButtons } from "@/components/WorkspaceButtons.tsx";
import { WorkspaceState } from "@/components/WorkspaceState.tsx";
import { keys } from "@/data/keys.ts";
import { useWorkspace } from "@/data/workspaces.ts";
import { BackLink } from "../BackLink.tsx";
import { Confirm } from "../Confirm.tsx";
import { Detail } from "../Detail.tsx";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { Builds } from "./Builds.tsx";
import { Confinement } from "./Confinement.tsx";
import { IdleStop } from "./IdleStop.tsx";

export function WorkspacePage() {
  const { workspaceId = "" } = useParams({ strict: false });
  const { data, error } = useWorkspace(workspaceId);
  if (error instanceof ApiError && error.status === 404) {
    return (
      <p className="text-sm text-muted">
        There is no such workspace any more.{" "}
        <Link to="/settings/workspaces" className="rounded-md text-accent underline underline-offset-2">
          Back to workspaces
        </Link>
        .
      </p>
    );
  }
  if (data) return <WorkspaceDetail key={data.id} workspace={data} />;
  return error ? <Notice tone="danger" title={describe(error)} /> : null;
}

function WorkspaceDetail({ workspace }: { workspace: Workspace }) {
  const [removing, setRemoving] = useState(false);
  return (
    <Detail
      back={<BackLink to="/settings/workspaces" text="Workspaces" />}
      title={workspace.name}
      icon={<Box size={20} className="text-muted" aria-hidden />}
      badge={<WorkspaceState workspace={workspace} className="text-sm font-normal text-muted" />}
      text={`From the template ${workspace.template_name} · ${workspace.owner_username}`}
      action={<WorkspaceButtons workspace={workspace} />}
    >
      {workspace.status_message ? (
        <div className="mb-6">
          <Notice tone="danger" title="It could not be started">
            {workspace.status_message}
          </Notice>
        </div>
      ) : null}
      {workspace.backend === "external" ? (
        <Section title="Its host">
          <AgentCommand workspace={workspace} />
        </Section>
      ) : null}
      <Parameters parameters={workspace.parameters} />
      <IdleStop workspace={workspace} />
      <Builds workspace={workspace} />
      {workspace.backend === "external" ? null : <Confinement workspaceId={workspace.id} />}
      <Section title="Delete" text={workspace.backend === "external" ? "Its host is sent away and keeps its files. Chats that worked there stay." : "Everything in it is gone then. Chats that worked there stay."}>
        <Button look="danger" onClick={() => setRemoving(true)}>
          Delete {workspace.name}…
        </Button>
      </Section>
      {removing ? <DeleteWorkspace workspace={workspace} onDone={() => setRemoving(false)} /> : null}
    </Detail>
  );
}

function Parameters({ parameters }: { parameters: Workspace["parameters"] }) {
  const entries = Object.entries(parameters);
  if (entries.length === 0) return null;
  return (
    <Section title="Parameters">
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-6 gap-y-1.5 text-sm">
        {entries.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-muted">{name}</dt>
            <dd className="font-mono text-[13px] wrap-anywhere">{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

function DeleteWorkspace({ workspace, onDone }: { workspace: Workspace; onDone: () => void }) {
  const { busy, run } = useChange(keys.workspaces);
  const navigate = useNavigate();
  const remove = async () => {
    if (await run(() => deleteWorkspace(workspace.id))) await navigate({ to: "/settings/workspaces" });
  };
  return (
    <Confirm
      title={`Delete ${workspace.name}?`}
      text={workspace.backend === "external" ? "Its host is sent away, and keeps its files." : "Its files and what runs in it are gone then, and nobody can bring them back."}
      action="Delete it"
      busy={busy}
      onConfirm={() => void remove()}
      onClose={onDone}
    />
  );
}

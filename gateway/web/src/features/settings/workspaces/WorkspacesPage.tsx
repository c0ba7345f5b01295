import { Link } from "@tanstack/react-router";
import { Box, Plus } from "lucide-react";
import type { Workspace } from "@/api/workspaces.ts";
import { buttonClasses } from "@/components/Button.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { WorkspaceButtons } from "@/components/WorkspaceButtons.tsx";
import { WorkspaceState } from "@/components/WorkspaceState.tsx";
import { useIsAdministrator, useMe } from "@/data/queries.ts";
import { useWorkspaces } from "@/data/workspaces.ts";
import { ListSection } from "../Section.tsx";

/** The places in which agents of this user work; for administrators everybody's. */
export function WorkspacesPage() {
  const { data, error } = useWorkspaces();
  const { data: me } = useMe();
  const isAdministrator = useIsAdministrator() === true;
  return (
    <>
      <ListSection
        title="Workspaces"
        text={isAdministrator ? "Where agents work: everybody's, since you look after them." : "Where your agents work. A chat without one gets one by itself."}
        action={
          <Link to="/settings/workspaces/new" className={buttonClasses("secondary")}>
            <Plus size={15} aria-hidden /> New
          </Link>
        }
        items={data?.workspaces}
        error={error}
        empty="None yet. The first tool an agent uses makes one, or you make one from a template."
      >
        {(workspace) => <WorkspaceItem key={workspace.id} workspace={workspace} isOwn={workspace.owner_id === me?.id} />}
      </ListSection>
      {data && data.count > data.workspaces.length ? <p className="-mt-8 text-xs text-faint">The newest {data.workspaces.length} of {data.count}.</p> : null}
    </>
  );
}

function WorkspaceItem({ workspace, isOwn }: { workspace: Workspace; isOwn: boolean }) {
  return (
    <li className="flex items-center gap-2 pr-3">
      <Link to="/settings/workspaces/$workspaceId" params={{ workspaceId: workspace.id }} className="flex min-w-0 flex-1 gap-3 rounded-md py-2.5 pl-4 -outline-offset-2 touch:min-h-14">
        <Box size={18} className="mt-0.5 shrink-0 text-muted" aria-hidden />
        <span className="min-w-0 flex-1">
          <span className="flex flex-wrap items-center gap-x-2.5 text-sm font-medium">
            <span className="truncate">{isOwn ? workspace.name : `${workspace.owner_username}/${workspace.name}`}</span>
            <WorkspaceState workspace={workspace} className="text-xs font-normal text-muted" />
          </span>
          <span className="block truncate text-xs text-faint">
            {workspace.template_name} · used <RelativeTime iso={workspace.last_used_at} />
          </span>
          {workspace.status_message ? <span className="block text-xs text-danger wrap-anywhere">{workspace.status_message}</span> : null}
        </span>
      </Link>
      <WorkspaceButtons workspace={workspace} />
    </li>
  );
}

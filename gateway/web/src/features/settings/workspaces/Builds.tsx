import { useState } from "react";
import { describe } from "@/api/problem.ts";
import type { Workspace, WorkspaceBuild } from "@/api/workspaces.ts";
import { Notice } from "@/components/Notice.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { Terminal } from "@/components/Terminal.tsx";
import { useBuilds } from "@/data/workspaces.ts";
import { buildText, isMoving, isUnderWay } from "@/lib/workspace.ts";
import { LIST, Loading, Section } from "../Section.tsx";

/** Each start, stop and deletion, with what it printed. */
export function Builds({ workspace }: { workspace: Workspace }) {
  const { data, error } = useBuilds(workspace.id, isMoving(workspace));
  return (
    <Section title="Starts and stops">
      {error ? <Notice tone="danger" title={describe(error)} /> : null}
      <ul aria-label="Starts and stops" className={LIST}>
        {data?.map((build, index) => <BuildItem key={build.id} build={build} isNewest={index === 0} />)}
        {data === undefined && !error ? <Loading /> : null}
        {data?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">It was never started.</li> : null}
      </ul>
    </Section>
  );
}

function BuildItem({ build, isNewest }: { build: WorkspaceBuild; isNewest: boolean }) {
  const runs = isUnderWay(build);
  const wanted = isNewest && (runs || build.status === "failed" || build.startup === "failed");
  // What is being read does not close when the build ends.
  const [open, setOpen] = useState(wanted);
  const [wasWanted, setWasWanted] = useState(wanted);
  if (wanted !== wasWanted) {
    setWasWanted(wanted);
    if (wanted) setOpen(true);
  }
  return (
    <li className="px-4 py-2.5 text-sm">
      <p className="flex flex-wrap items-baseline justify-between gap-x-3">
        {buildText(build)}
        <span className="text-xs text-faint">
          <RelativeTime iso={build.created_at} />
        </span>
      </p>
      {build.error ? <p className="text-danger wrap-anywhere">{build.error}</p> : null}
      {build.log ? (
        <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)} className="mt-1">
          <summary className="cursor-pointer text-xs leading-6 text-muted touch:leading-[44px]">What it printed</summary>
          <div className="mt-1 overflow-hidden rounded-md border border-line">
            <Terminal text={build.log} label={`What start ${String(build.number)} printed`} isLive={runs} />
          </div>
        </details>
      ) : null}
    </li>
  );
}

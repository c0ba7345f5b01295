import type { Workspace } from "@/api/workspaces.ts";
import { classes } from "@/lib/classes.ts";
import { stateOf, type StateWords } from "@/lib/workspace.ts";

const DOTS: Record<StateWords["tone"], string> = { ok: "bg-ok", busy: "bg-accent pulse", quiet: "bg-line-strong", warn: "bg-warn", danger: "bg-danger" };

/** How a workspace stands, as a dot and a word. */
export function WorkspaceState({ workspace, className }: { workspace: Workspace; className?: string }) {
  const { text, tone } = stateOf(workspace);
  return (
    <span className={classes("inline-flex shrink-0 items-center gap-1.5", className)}>
      <span aria-hidden className={classes("size-2 rounded-full", DOTS[tone])} /> {text}
    </span>
  );
}

import { Play, Square } from "lucide-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import { startWorkspace, stopWorkspace, type Workspace } from "@/api/workspaces.ts";
import { keys } from "@/data/keys.ts";
import { isMoving } from "@/lib/workspace.ts";
import { Button } from "./Button.tsx";
import { toast } from "./toasts.ts";

/** Starts a workspace that rests, stops one that runs; nothing while it is on its way. */
export function WorkspaceButtons({ workspace }: { workspace: Workspace }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const run = async (change: (id: string) => Promise<unknown>) => {
    setBusy(true);
    await change(workspace.id).catch((error: unknown) => toast(describe(error), { tone: "danger" }));
    await client.invalidateQueries({ queryKey: keys.workspaces });
    setBusy(false);
  };
  if (isMoving(workspace)) return null;
  return workspace.status === "running" ? (
    <Button busy={busy} aria-label={`Stop ${workspace.name}`} onClick={() => void run(stopWorkspace)}>
      <Square size={13} aria-hidden /> Stop
    </Button>
  ) : (
    <Button busy={busy} aria-label={`Start ${workspace.name}`} onClick={() => void run(startWorkspace)}>
      <Play size={14} aria-hidden /> Start
    </Button>
  );
}

import { Play, Square } from "lucide-react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import { getTemplate, startWorkspace, stopWorkspace, type TemplateParameter, type Workspace } from "@/api/workspaces.ts";
import { keys } from "@/data/keys.ts";
import { isMoving, refusalText, refusedParameters } from "@/lib/workspace.ts";
import { Button } from "./Button.tsx";
import { StartDialog } from "./StartDialog.tsx";
import { toast } from "./toasts.ts";

/** Starts a workspace that rests, stops one that runs; nothing while it is on its way. */
export function WorkspaceButtons({ workspace }: { workspace: Workspace }) {
  if (isMoving(workspace)) return null;
  return workspace.status === "running" ? <StopButton workspace={workspace} /> : <StartButton workspace={workspace} />;
}

function StopButton({ workspace }: { workspace: Workspace }) {
  const { busy, run } = useRun();
  return (
    <Button busy={busy} aria-label={`Stop ${workspace.name}`} onClick={() => void run(() => stopWorkspace(workspace.id))}>
      <Square size={13} aria-hidden /> Stop
    </Button>
  );
}

function StartButton({ workspace }: { workspace: Workspace }) {
  const { busy, run } = useRun();
  /** What the template asks for before the workspace starts, and how the last try was refused. */
  const [asked, setAsked] = useState<{ parameters: readonly TemplateParameter[]; refusal: string } | null>(null);
  const start = async (values?: Readonly<Record<string, string>>) => {
    try {
      await startWorkspace(workspace.id, values);
      setAsked(null);
    } catch (error) {
      const refused = refusedParameters(error);
      const names = new Set([...refused, ...(asked?.parameters.map(({ name }) => name) ?? [])]);
      // Without the template, the refusal itself still says what is missing.
      const template = refused.length > 0 ? await getTemplate(workspace.template_id).catch(() => undefined) : undefined;
      const parameters = template?.spec.parameters.filter(({ name }) => names.has(name)) ?? asked?.parameters ?? [];
      setAsked(parameters.length > 0 ? { parameters, refusal: refusalText(error, parameters) } : null);
      if (parameters.length === 0) throw error;
    }
  };
  return (
    <>
      <Button busy={busy} aria-label={`Start ${workspace.name}`} onClick={() => void run(() => start())}>
        <Play size={14} aria-hidden /> Start
      </Button>
      {asked ? <StartDialog workspace={workspace} {...asked} busy={busy} onStart={(values) => void run(() => start(values))} onClose={() => setAsked(null)} /> : null}
    </>
  );
}

function useRun() {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const run = async (change: () => Promise<unknown>) => {
    setBusy(true);
    await change().catch((error: unknown) => toast(describe(error), { tone: "danger" }));
    await client.invalidateQueries({ queryKey: keys.workspaces });
    setBusy(false);
  };
  return { busy, run };
}

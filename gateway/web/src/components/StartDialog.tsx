import { type FormEvent, useState } from "react";
import type { TemplateParameter, Workspace } from "@/api/workspaces.ts";
import { firstValue } from "@/lib/workspace.ts";
import { Button } from "./Button.tsx";
import { Dialog } from "./Dialog.tsx";
import { Notice } from "./Notice.tsx";
import { ParameterField } from "./ParameterField.tsx";

interface StartDialogProps {
  workspace: Workspace;
  /** What has to be said first. */
  parameters: readonly TemplateParameter[];
  /** Why it was not started as it is. */
  refusal: string;
  busy: boolean;
  onStart: (values: Readonly<Record<string, string>>) => void;
  onClose: () => void;
}

/** Asks for what a newer version of the template needs before the workspace starts with it. */
export function StartDialog({ workspace, parameters, refusal, busy, onStart, onClose }: StartDialogProps) {
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const valueOf = (parameter: TemplateParameter) => values[parameter.name] ?? firstValue(parameter, workspace.parameters);
  const isComplete = parameters.every((parameter) => !parameter.required || valueOf(parameter) !== "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onStart(Object.fromEntries(parameters.map((parameter) => [parameter.name, valueOf(parameter)])));
  };
  const title = `Start ${workspace.name}`;
  return (
    <Dialog label={title} onClose={onClose}>
      <form onSubmit={submit} className="space-y-4 p-5">
        <h2 className="font-semibold">{title}</h2>
        <p className="text-sm text-muted">Its template has a newer version, which asks for this first.</p>
        <Notice tone="warn" title="Not started yet">
          {refusal}
        </Notice>
        {parameters.map((parameter) => (
          <ParameterField key={parameter.name} parameter={parameter} value={valueOf(parameter)} onChange={(value) => setValues({ ...values, [parameter.name]: value })} />
        ))}
        <div className="flex flex-wrap gap-2">
          <Button type="submit" look="primary" busy={busy} disabled={!isComplete}>
            Start it
          </Button>
          <Button look="quiet" onClick={onClose}>
            Not now
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

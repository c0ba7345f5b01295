import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { describe } from "@/api/problem.ts";
import { createWorkspace, type Template } from "@/api/workspaces.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { ParameterField } from "@/components/ParameterField.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { keys } from "@/data/keys.ts";
import { useTemplates } from "@/data/workspaces.ts";
import { BackLink } from "../BackLink.tsx";
import { Detail } from "../Detail.tsx";

/** A workspace is made from a template, with what that asks for. */
export function NewWorkspacePage() {
  const { data, error } = useTemplates();
  const templates = data?.templates.filter(({ deprecated }) => !deprecated) ?? [];
  const [chosen, setChosen] = useState("");
  const template = templates.find(({ id }) => id === chosen) ?? templates[0];
  return (
    <Detail back={<BackLink to="/settings/workspaces" text="Workspaces" />} title="New workspace" text="It is started at once.">
      {error ? <Notice tone="danger" title={describe(error)} /> : null}
      {template ? (
        <>
          <SelectField label="Template" className="mb-4" value={template.id} hint={template.description} onChange={(event) => setChosen(event.target.value)}>
            {templates.map(({ id, name, display_name }) => (
              <option key={id} value={id}>
                {display_name || name}
              </option>
            ))}
          </SelectField>
          <NewWorkspaceForm key={template.id} template={template} />
        </>
      ) : null}
    </Detail>
  );
}

function NewWorkspaceForm({ template }: { template: Template }) {
  const { parameters, presets } = template.spec;
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [presetId, setPresetId] = useState(presets.find((preset) => preset.default)?.id ?? "");
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const preset = presets.find(({ id }) => id === presetId);
  const valueOf = (parameter: (typeof parameters)[number]) => values[parameter.name] ?? preset?.parameters[parameter.name] ?? parameter.default ?? "";
  const isComplete = parameters.every((parameter) => !parameter.required || valueOf(parameter) !== "");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      const workspace = await createWorkspace({ template_id: template.id, ...(name.trim() && { name: name.trim() }), ...(presetId && { preset_id: presetId }), parameters: values });
      void client.invalidateQueries({ queryKey: keys.workspaces });
      await navigate({ to: "/settings/workspaces/$workspaceId", params: { workspaceId: workspace.id } });
    } catch (error) {
      setProblem(describe(error));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field label="Name" placeholder="chosen for you" autoComplete="off" spellCheck={false} value={name} onChange={(event) => setName(event.target.value)} />
      {presets.length > 0 ? (
        <SelectField label="Preset" value={presetId} hint={preset?.description} onChange={(event) => setPresetId(event.target.value)}>
          <option value="">None</option>
          {presets.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </SelectField>
      ) : null}
      {parameters.map((parameter) => (
        <ParameterField key={parameter.name} parameter={parameter} value={valueOf(parameter)} onChange={(value) => setValues({ ...values, [parameter.name]: value })} />
      ))}
      {problem ? (
        <Notice tone="danger" title="Not made">
          {problem}
        </Notice>
      ) : null}
      <Button type="submit" look="primary" busy={busy} disabled={!isComplete}>
        Make the workspace
      </Button>
    </form>
  );
}

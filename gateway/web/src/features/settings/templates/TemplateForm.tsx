import { type FormEvent, useState } from "react";
import type { Backend, PodSpec, Template, TemplateFields, TemplateSpec } from "@/api/workspaces.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { Switch } from "@/components/Switch.tsx";
import { TextArea } from "@/components/TextArea.tsx";
import { BACKENDS, choicesOf, choicesText, EMPTY_SPEC, environmentOf, environmentText, hoursText, ttlOf } from "@/lib/workspace.ts";
import { Section } from "../Section.tsx";
import { PodFields } from "./PodFields.tsx";

const OFFERED: readonly Backend[] = ["local", "external", "kubernetes"];
const NO_POD: PodSpec = { image: "", cpu: "", memory: "", home_size: "" };
const EXAMPLE = `{
  "parameters": [{ "name": "branch", "type": "string", "required": true, "description": "Checked out at the start" }],
  "presets": [{ "name": "Main", "default": true, "parameters": { "branch": "main" } }]
}`;

interface TemplateFormProps {
  template: Template | undefined;
  busy: boolean;
  onSave: (fields: TemplateFields & { name: string; spec: TemplateSpec }) => Promise<void>;
}

/** What a template is called, where its workspaces live and what they begin with. */
export function TemplateForm({ template, busy, onSave }: TemplateFormProps) {
  const spec = template?.spec ?? EMPTY_SPEC;
  const [fields, setFields] = useState({
    name: template?.name ?? "",
    display_name: template?.display_name ?? "",
    description: template?.description ?? "",
    readme: template?.readme ?? "",
    backend: spec.backend,
    pod: spec.kubernetes ?? NO_POD,
    script: spec.startup_script,
    environment: environmentText(spec.environment),
    hours: hoursText(spec.default_ttl_ms),
    choices: choicesText(spec),
    require_active_version: template?.require_active_version ?? false,
  });
  const set = (change: Partial<typeof fields>) => setFields({ ...fields, ...change });
  const environment = environmentOf(fields.environment);
  const choices = choicesOf(fields.choices);
  // Hours are shown rounded: what nobody changed stays to the millisecond, or saving would make another version.
  const ttl = fields.hours === hoursText(spec.default_ttl_ms) ? spec.default_ttl_ms : ttlOf(fields.hours);
  const isSound = fields.name.trim() !== "" && typeof environment !== "string" && typeof choices !== "string" && ttl !== null && (fields.backend !== "kubernetes" || fields.pod.image.trim() !== "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typeof environment === "string" || typeof choices === "string" || ttl === null) return;
    const { name, display_name, description, readme, backend, script, pod, require_active_version } = fields;
    const kubernetes = backend === "kubernetes" ? { kubernetes: { ...pod, image: pod.image.trim() } } : {};
    const startup_script = backend === "external" ? "" : script;
    void onSave({ name: name.trim(), display_name, description, readme, require_active_version, spec: { ...spec, ...choices, ...kubernetes, backend, environment, default_ttl_ms: ttl, startup_script } });
  };
  return (
    <form onSubmit={submit}>
      <Section title="Name">
        <div className="grid items-start gap-4 sm:grid-cols-2">
          <Field label="Short name" required disabled={template?.built_in === true} autoComplete="off" spellCheck={false} value={fields.name} hint="Words of a-z and 0-9 with hyphens between them." onChange={(event) => set({ name: event.target.value })} />
          <Field label="Shown as" autoComplete="off" value={fields.display_name} onChange={(event) => set({ display_name: event.target.value })} />
          <Field label="Description" className="sm:col-span-2" value={fields.description} hint="Agents choose by it." onChange={(event) => set({ description: event.target.value })} />
        </div>
      </Section>
      <Section title="Workspaces made from it">
        <div className="space-y-4">
          <SelectField label="Live on" value={fields.backend} disabled={template !== undefined} hint={BACKENDS[fields.backend].text} onChange={(event) => set({ backend: event.target.value as Backend })}>
            {(template ? [spec.backend] : OFFERED).map((backend) => (
              <option key={backend} value={backend}>
                {BACKENDS[backend].name}
              </option>
            ))}
          </SelectField>
          {fields.backend === "kubernetes" ? <PodFields pod={fields.pod} onChange={(change) => set({ pod: { ...fields.pod, ...change } })} /> : null}
          {fields.backend === "external" ? null : <TextArea label="Startup script" rows={6} value={fields.script} hint="Run with sh at each start; parameters are in its environment." onChange={(event) => set({ script: event.target.value })} />}
          <TextArea label="Environment" rows={3} placeholder="NAME=value" value={fields.environment} problem={typeof environment === "string" ? environment : undefined} hint="For every process, a line each. Agents can read it: no place for secrets." onChange={(event) => set({ environment: event.target.value })} />
          <Field label="Stop when unused for hours" className="w-60" inputMode="decimal" placeholder="never" value={fields.hours} problem={ttl === null ? "A number from 0 to 720, or nothing." : undefined} onChange={(event) => set({ hours: event.target.value })} />
          <TextArea label="Parameters and presets" rows={6} placeholder={EXAMPLE} value={fields.choices} problem={typeof choices === "string" ? choices : undefined} hint="What is asked when a workspace is made, as JSON; empty for nothing." onChange={(event) => set({ choices: event.target.value })} />
          <div>
            <Switch label="Workspaces must run the active version" checked={fields.require_active_version} onChange={(required) => set({ require_active_version: required })} />
            <p className="pl-[54px] text-sm text-faint">The next start takes each of them there; those that run stay as they are until then.</p>
          </div>
        </div>
      </Section>
      <Section title="For those who read on">
        <TextArea label="Readme" rows={6} value={fields.readme} hint="Markdown. Agents read the first 8,000 characters of it." onChange={(event) => set({ readme: event.target.value })} />
      </Section>
      <Button type="submit" look="primary" busy={busy} disabled={!isSound} className="mb-10">
        {template ? "Save" : "Add the template"}
      </Button>
    </form>
  );
}

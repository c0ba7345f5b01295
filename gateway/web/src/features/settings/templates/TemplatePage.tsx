import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import { createTemplate, deleteTemplate, patchTemplate, type Template } from "@/api/workspaces.ts";
import { Badge } from "@/components/Badge.tsx";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { Switch } from "@/components/Switch.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { useTemplates } from "@/data/workspaces.ts";
import { BACKENDS } from "@/lib/workspace.ts";
import { BackLink } from "../BackLink.tsx";
import { Confirm } from "../Confirm.tsx";
import { Detail } from "../Detail.tsx";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { TemplateForm } from "./TemplateForm.tsx";

const BACK = <BackLink to="/settings/templates" text="Templates" />;

export function NewTemplatePage() {
  const { busy, run } = useChange(keys.templates);
  const navigate = useNavigate();
  return (
    <Detail back={BACK} title="New template" text="Agents and people make workspaces from it.">
      <TemplateForm
        template={undefined}
        busy={busy}
        onSave={async (fields) => {
          if (await run(() => createTemplate(fields))) await navigate({ to: "/settings/templates" });
        }}
      />
    </Detail>
  );
}

export function TemplatePage() {
  const { templateId } = useParams({ strict: false });
  const { data, error } = useTemplates();
  const template = data?.templates.find(({ id }) => id === templateId);
  if (template) return <TemplateDetail key={template.id} template={template} />;
  if (error) return <Notice tone="danger" title={describe(error)} />;
  if (data === undefined) return null;
  return (
    <p className="text-sm text-muted">
      There is no such template.{" "}
      <Link to="/settings/templates" className="rounded-md text-accent underline underline-offset-2">
        Back to templates
      </Link>
      .
    </p>
  );
}

function TemplateDetail({ template }: { template: Template }) {
  const { busy, run } = useChange(keys.templates);
  const navigate = useNavigate();
  const [removing, setRemoving] = useState(false);
  const remove = async () => {
    if (!(await run(() => deleteTemplate(template.id)))) return;
    toast(`${template.display_name || template.name} is deleted`);
    await navigate({ to: "/settings/templates" });
  };
  return (
    <Detail
      back={BACK}
      title={template.display_name || template.name}
      badge={template.built_in ? <Badge text="built in" /> : null}
      text={`${BACKENDS[template.spec.backend].name} · version ${String(template.active_version_number)}`}
      action={<Switch label="Offered" checked={!template.deprecated} disabled={busy} onChange={(offered) => void run(() => patchTemplate(template.id, { deprecated: !offered }))} />}
    >
      <TemplateForm
        key={template.active_version_number}
        template={template}
        busy={busy}
        onSave={async ({ name, ...fields }) => {
          if (await run(() => patchTemplate(template.id, { ...fields, ...(name !== template.name && { name }) }))) toast("Saved");
        }}
      />
      {template.built_in ? null : (
        <Section title="Delete" text="Workspaces made from it go on.">
          <Button look="danger" onClick={() => setRemoving(true)}>
            Delete the template…
          </Button>
        </Section>
      )}
      {removing ? (
        <Confirm title={`Delete ${template.display_name || template.name}?`} text="Nobody makes workspaces from it any more. Those that were made go on." action="Delete it" busy={busy} onConfirm={() => void remove()} onClose={() => setRemoving(false)} />
      ) : null}
    </Detail>
  );
}

import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { describe } from "@/api/problem.ts";
import { createSkill, deleteSkill, putSkill, type Skill } from "@/api/skills.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { TextArea } from "@/components/TextArea.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { useSkill } from "@/data/workspaces.ts";
import { BackLink } from "../BackLink.tsx";
import { Confirm } from "../Confirm.tsx";
import { Detail } from "../Detail.tsx";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";

const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

export function SkillPage() {
  const { name = "" } = useParams({ strict: false });
  const { isNew } = useSearch({ strict: false });
  const { data, error } = useSkill(isNew ? "" : name);
  const title = isNew ? "New skill" : name;
  return (
    <Detail back={<BackLink to="/settings/skills" text="My skills" />} title={title} text="Agents read it when the description fits what they do.">
      {error ? <Notice tone="danger" title={describe(error)} /> : null}
      {isNew ? <SkillForm skill={undefined} /> : data ? <SkillForm key={data.updated_at} skill={data} /> : null}
    </Detail>
  );
}

function SkillForm({ skill }: { skill: Skill | undefined }) {
  const { busy, run } = useChange(keys.skills);
  const navigate = useNavigate();
  const [name, setName] = useState(skill?.name ?? "");
  const [description, setDescription] = useState(skill?.description ?? "");
  const [body, setBody] = useState(skill?.body ?? "");
  const [removing, setRemoving] = useState(false);
  const isNamed = NAME.test(name);
  const save = async (event: FormEvent) => {
    event.preventDefault();
    const isSaved = await run(() => (skill ? putSkill(skill.name, { description, body }) : createSkill({ name, description, body })));
    if (!isSaved) return;
    toast("Saved");
    if (!skill) await navigate({ to: "/settings/skills" });
  };
  const remove = async () => {
    if (skill && (await run(() => deleteSkill(skill.name)))) await navigate({ to: "/settings/skills" });
  };
  return (
    <form onSubmit={(event) => void save(event)}>
      <div className="mb-8 space-y-4">
        <Field
          label="Name"
          required
          disabled={skill !== undefined}
          autoComplete="off"
          spellCheck={false}
          value={name}
          hint="Words of a-z and 0-9 with hyphens between them."
          problem={name === "" || isNamed ? undefined : "Words of a-z and 0-9 with single hyphens between them, such as release-notes."}
          onChange={(event) => setName(event.target.value)}
        />
        <Field label="Description" value={description} hint="What it is for, and when to use it." onChange={(event) => setDescription(event.target.value)} />
        <TextArea label="Instructions" rows={16} required value={body} hint="Markdown, at most 64 KiB." onChange={(event) => setBody(event.target.value)} />
        <Button type="submit" look="primary" busy={busy} disabled={!isNamed || body.trim() === ""}>
          {skill ? "Save" : "Add the skill"}
        </Button>
      </div>
      {skill ? (
        <Section title="Remove" text="Agents no longer know of it.">
          <Button look="danger" onClick={() => setRemoving(true)}>
            Remove the skill…
          </Button>
        </Section>
      ) : null}
      {skill && removing ? <Confirm title={`Remove ${skill.name}?`} text="Its text is gone then." action="Remove it" busy={busy} onConfirm={() => void remove()} onClose={() => setRemoving(false)} /> : null}
    </form>
  );
}

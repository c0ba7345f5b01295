import { type FormEvent, type ReactNode, useState } from "react";
import { patchModel } from "@/api/models.ts";
import type { ModelConfig } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { TextArea } from "@/components/TextArea.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { valueAt } from "@/lib/callConfig.ts";
import { type Option, optionsFor, PRICES } from "@/lib/callOptions.ts";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { Fallbacks } from "./Fallbacks.tsx";
import { OptionField } from "./OptionField.tsx";
import { useModelDraft } from "./useModelDraft.ts";

const GRID = "grid gap-x-4 gap-y-4 sm:grid-cols-2";

/** Everything that can be set for a model, saved as one. */
export function ModelForm({ model }: { model: ModelConfig }) {
  const { busy, run } = useChange(keys.models);
  const draft = useModelDraft(model);
  const { basics, setBasics } = draft;
  const groups = optionsFor(model.provider);
  const isChanged = Object.keys(draft.patch).length > 0 || !draft.isSound;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await run(() => patchModel(model.id, draft.patch)))) return;
    draft.discard();
    toast("Saved");
  };
  const fields = (options: readonly Option[], placeholder?: string) => options.map((option) => <OptionField key={option.path.join(".")} option={option} draft={draft} {...(placeholder && { placeholder })} />);
  return (
    <form onSubmit={(event) => void submit(event)} aria-label="Settings of the model">
      <Section title="Model">
        <div className={GRID}>
          <Field label="Name in Tandem" autoComplete="off" placeholder={model.model} value={basics.display_name} onChange={(event) => setBasics({ display_name: event.target.value })} />
          <Field label="Name at the provider" autoComplete="off" spellCheck={false} required value={basics.model} onChange={(event) => setBasics({ model: event.target.value })} />
          <Field label="Context (tokens)" type="number" min={1} required value={basics.context_limit} onChange={(event) => setBasics({ context_limit: event.target.value })} hint="How much the model can take in at once." />
          <Field
            label="Summarize at (% of the context)"
            type="number"
            min={0}
            max={100}
            required
            value={basics.compression_threshold}
            onChange={(event) => setBasics({ compression_threshold: event.target.value })}
            hint="Older messages are then summarized. 100: never."
          />
        </div>
      </Section>
      <Section title="Prices" text="US dollars per million tokens. Without them what the model answers is counted as unpriced, and no limit holds it.">
        <div className="grid grid-cols-2 gap-4 sm:grid-cols-4">{fields(PRICES, "none")}</div>
      </Section>
      <Fallbacks model={model} draft={draft} />
      <Section title="Every call" text="Sent along with each request. Empty: as the provider does by itself.">
        <div className={GRID}>{fields(groups.general)}</div>
      </Section>
      {groups.own.length > 0 ? (
        <Fold title={`Only ${groups.ownName}`} isOpen={groups.own.some((option) => valueAt(model.model_config ?? {}, option.path) !== undefined)} text={`Options that ${groups.ownName} understands and others do not.`}>
          <div className={GRID}>{fields(groups.own)}</div>
        </Fold>
      ) : null}
      <Fold title="All options as JSON" text="Prices and options together, for what has no field here. Both are the same: changing one changes the other.">
        <TextArea label="Options" rows={10} value={draft.json} onChange={(event) => draft.setJson(event.target.value)} problem={draft.jsonProblem} />
      </Fold>
      {isChanged ? (
        <div className="sticky bottom-3 z-10 -mx-2 mb-8 flex flex-wrap items-center justify-between gap-3 rounded-xl border border-line bg-raised py-2.5 pr-2.5 pl-4 text-sm shadow-pop">
          <span role="status">{draft.isSound ? "Not saved yet" : "Something is not right yet"}</span>
          <span className="flex gap-2">
            <Button look="quiet" onClick={draft.discard}>
              Discard
            </Button>
            <Button type="submit" look="primary" busy={busy} disabled={!draft.isSound}>
              Save
            </Button>
          </span>
        </div>
      ) : null}
    </form>
  );
}

/** A section that is opened by those who need it. */
function Fold({ title, text, isOpen = false, children }: { title: string; text: string; isOpen?: boolean; children: ReactNode }) {
  const [begins] = useState(isOpen);
  return (
    <details open={begins} className="mb-10 rounded-xl border border-line open:pb-5">
      <summary className="cursor-pointer rounded-xl px-4 py-3 font-semibold -outline-offset-2">{title}</summary>
      <div className="px-4">
        <p className="mb-4 text-sm text-muted">{text}</p>
        {children}
      </div>
    </details>
  );
}

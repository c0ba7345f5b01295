import { ArrowDown, ArrowUp, X } from "lucide-react";
import type { ModelConfig } from "@/api/modelTypes.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { useModels, useProviders } from "@/data/queries.ts";
import { FALLBACKS } from "@/lib/callOptions.ts";
import { modelName, providerName, typeName } from "@/lib/names.ts";
import { moved } from "@/lib/order.ts";
import { LIST, Section } from "../Section.tsx";
import type { ModelDraft } from "./useModelDraft.ts";

/** The server takes no more. */
const MAX_FALLBACKS = 4;

/** Other models that answer in place of this one, in the order in which they are asked. */
export function Fallbacks({ model, draft }: { model: ModelConfig; draft: ModelDraft }) {
  const { data: models } = useModels();
  const { data: providers } = useProviders();
  const chosen = draft.textOf(FALLBACKS).split(",").map((id) => id.trim()).filter(Boolean);
  const read = (id: string) => {
    const found = models?.find((one) => one.id === id);
    if (!found) return { name: models ? "A model that is gone" : "…", text: "" };
    const provider = providers?.find((one) => one.id === found.ai_provider_id);
    return { name: modelName(found), text: `${provider ? providerName(provider) : typeName(found.provider)}${found.enabled ? "" : ", switched off"}` };
  };
  const nameOf = (id: string) => read(id).name;
  const set = (ids: readonly string[]) => draft.type(FALLBACKS, ids.join(", "));
  const others = models?.filter(({ id, enabled }) => id !== model.id && enabled && !chosen.includes(id)) ?? [];
  return (
    <Section title="When it cannot answer" text="The first of these that can answers instead: when this one is overloaded, limited, too slow to begin, or all its keys rest. Never in mid-answer.">
      {chosen.length > 0 ? (
        <ol aria-label="Fallbacks" className={`${LIST} mb-4`}>
          {chosen.map((id, place) => (
            <li key={id} className="flex items-center gap-1 py-1.5 pr-2 pl-4 text-sm">
              <span className="w-5 shrink-0 text-faint tabular-nums">{place + 1}.</span>
              <span className="min-w-0 flex-1">
                <span className="block truncate font-medium">{nameOf(id)}</span>
                <span className="block truncate text-xs text-faint">{read(id).text}</span>
              </span>
              <IconButton label={`Ask ${nameOf(id)} earlier`} tipSide="left" disabled={place === 0} onClick={() => set(moved(chosen, place, place - 1))}>
                <ArrowUp size={15} />
              </IconButton>
              <IconButton label={`Ask ${nameOf(id)} later`} tipSide="left" disabled={place === chosen.length - 1} onClick={() => set(moved(chosen, place, place + 1))}>
                <ArrowDown size={15} />
              </IconButton>
              <IconButton label={`Do not ask ${nameOf(id)}`} tipSide="left" onClick={() => set(chosen.filter((one) => one !== id))}>
                <X size={15} />
              </IconButton>
            </li>
          ))}
        </ol>
      ) : null}
      {chosen.length < MAX_FALLBACKS && others.length > 0 ? (
        <SelectField label={chosen.length === 0 ? "Model to ask instead" : "And then"} value="" onChange={(event) => set([...chosen, event.target.value])}>
          <option value="">{chosen.length === 0 ? "None" : "Nobody else"}</option>
          {others.map(({ id }) => (
            <option key={id} value={id}>
              {`${nameOf(id)} · ${read(id).text}`}
            </option>
          ))}
        </SelectField>
      ) : null}
      {models && chosen.length === 0 && others.length === 0 ? <p className="text-sm text-muted">There is no other model in use that could answer instead.</p> : null}
    </Section>
  );
}

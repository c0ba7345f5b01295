import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useId, useState } from "react";
import { createModel } from "@/api/models.ts";
import type { Provider } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { contextLimitFor } from "@/components/connect/presets.ts";
import { Field } from "@/components/Field.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { useProviderCheck } from "./ProviderTest.tsx";
import { useChange } from "../useChange.ts";

export function AddModel({ provider, onDone }: { provider: Provider; onDone: () => void }) {
  const { busy, run } = useChange(keys.models);
  const { data, isFetching } = useProviderCheck(provider);
  const navigate = useNavigate();
  const listId = useId();
  const [model, setModel] = useState("");
  const [limit, setLimit] = useState<string | null>(null);
  const context = Number(limit ?? contextLimitFor(model));
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const isAdded = await run(async () => {
      const { id, model: name } = await createModel({ ai_provider_id: provider.id, model: model.trim(), context_limit: context });
      toast(`Added ${name}`, { action: { label: "Set prices", run: () => void navigate({ to: "/settings/models/$modelId", params: { modelId: id } }) } });
    });
    if (isAdded) onDone();
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field
        label="Model"
        list={listId}
        autoComplete="off"
        spellCheck={false}
        required
        value={model}
        onChange={(event) => setModel(event.target.value)}
        hint={isFetching ? "Asking what it offers…" : data?.ok ? `It offers ${String(data.models.length)}. Type to choose.` : "The provider's own name for the model."}
      />
      <datalist id={listId}>
        {data?.models.map((name) => <option key={name}>{name}</option>)}
      </datalist>
      <Field label="Context (tokens)" type="number" min={256} required value={String(context)} onChange={(event) => setLimit(event.target.value)} hint="How much the model can take in at once." />
      <Button type="submit" look="primary" busy={busy} disabled={model.trim() === "" || !(context > 0)}>
        Add
      </Button>
    </form>
  );
}

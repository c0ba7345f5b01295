import { Plus } from "lucide-react";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import type { ModelConfig } from "@/api/types.ts";
import { Button } from "@/components/Button.tsx";
import { ConnectChoices } from "@/components/connect/ConnectChoices.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useModels, useProviders } from "@/data/queries.ts";
import { DEMO_TYPE, providerName } from "@/lib/names.ts";
import { ModelItem } from "./ModelItem.tsx";
import { ProviderItem } from "./ProviderItem.tsx";
import { LIST, Loading, Section } from "./Section.tsx";

export function ModelsPage() {
  const providers = useProviders();
  const models = useModels();
  const providerOf = (model: ModelConfig) => {
    const provider = providers.data?.find(({ id }) => id === model.ai_provider_id);
    if (model.provider === DEMO_TYPE) return "Built in";
    return provider ? providerName(provider) : model.provider;
  };
  const [adding, setAdding] = useState(false);
  const problem = providers.error ?? models.error;
  return (
    <>
      {problem ? <Notice tone="danger" title={describe(problem)} /> : null}
      <Section title="Models" text="What can be chosen in a chat. The default answers when nothing is chosen.">
        <ul className={LIST}>
          {models.data?.map((model) => (
            <ModelItem key={model.id} model={model} providerName={providerOf(model)} />
          ))}
          {models.isPending ? <Loading /> : null}
          {models.data?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None yet. Connect a provider below.</li> : null}
        </ul>
      </Section>
      <Section
        title="Providers"
        text="Who runs the models. Keys are stored encrypted and never shown again."
        action={
          <Button onClick={() => setAdding(true)}>
            <Plus size={15} /> Connect
          </Button>
        }
      >
        <ul className={LIST}>
          {providers.data?.map((provider) => <ProviderItem key={provider.id} provider={provider} />)}
          {providers.isPending ? <Loading /> : null}
          {providers.data?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None yet.</li> : null}
        </ul>
      </Section>
      {adding ? (
        <Dialog label="Connect a provider" onClose={() => setAdding(false)} className="w-[min(600px,calc(100vw-32px))]!">
          <div className="p-5">
            <h2 className="mb-4 font-semibold">Connect a provider</h2>
            <ConnectChoices onDone={() => setAdding(false)} />
          </div>
        </Dialog>
      ) : null}
    </>
  );
}

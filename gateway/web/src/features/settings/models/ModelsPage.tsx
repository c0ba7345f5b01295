import { Plus } from "lucide-react";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import type { ModelConfig, Provider } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { ConnectChoices } from "@/components/connect/ConnectChoices.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useIsAdministrator, useModels, useProviders } from "@/data/queries.ts";
import { DEMO_TYPE, providerName, typeName } from "@/lib/names.ts";
import { LIST, Loading, Section } from "../Section.tsx";
import { ModelItem } from "./ModelItem.tsx";
import { ProviderItem } from "./ProviderItem.tsx";
import { SealAnew } from "./SealAnew.tsx";

export function ModelsPage() {
  const isAdministrator = useIsAdministrator() === true;
  const providers = useProviders(isAdministrator);
  const models = useModels();
  const problem = providers.error ?? models.error;
  return (
    <>
      {problem ? <Notice tone="danger" title={describe(problem)} /> : null}
      <Section title="Models" text="What can be chosen in a chat. The default answers when nothing is chosen.">
        <ul className={LIST}>
          {models.data?.map((model) => (
            <ModelItem key={model.id} model={model} providerName={nameOf(model, providers.data)} canChange={isAdministrator} />
          ))}
          {models.isPending ? <Loading /> : null}
          {models.data?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">{isAdministrator ? "None yet. Connect a provider below." : "None yet. An administrator connects them."}</li> : null}
        </ul>
      </Section>
      {isAdministrator ? <Providers providers={providers.data} models={models.data ?? []} /> : null}
    </>
  );
}

function nameOf(model: ModelConfig, providers: readonly Provider[] | undefined): string {
  const provider = providers?.find(({ id }) => id === model.ai_provider_id);
  if (model.provider === DEMO_TYPE || !provider) return typeName(model.provider);
  return providerName(provider);
}

function Providers({ providers, models }: { providers: readonly Provider[] | undefined; models: readonly ModelConfig[] }) {
  const [adding, setAdding] = useState(false);
  return (
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
        {providers?.map((provider) => (
          <ProviderItem key={provider.id} provider={provider} models={models.filter((model) => model.ai_provider_id === provider.id)} />
        ))}
        {providers === undefined ? <Loading /> : null}
        {providers?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None yet.</li> : null}
      </ul>
      {providers?.some(({ api_keys }) => api_keys.length > 0) ? <SealAnew /> : null}
      {adding ? (
        <Dialog label="Connect a provider" onClose={() => setAdding(false)} className="w-[min(600px,calc(100vw-32px))]!">
          <div className="p-5">
            <h2 className="mb-4 font-semibold">Connect a provider</h2>
            <ConnectChoices onDone={() => setAdding(false)} offersPrograms />
          </div>
        </Dialog>
      ) : null}
    </Section>
  );
}

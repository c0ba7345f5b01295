import { useNavigate, useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { patchProvider } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { Provider } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { Notice } from "@/components/Notice.tsx";
import { Switch } from "@/components/Switch.tsx";
import { keys } from "@/data/keys.ts";
import { useIsAdministrator, useModels, useProviders } from "@/data/queries.ts";
import { useProviderHealth } from "@/data/providers.ts";
import { DEMO_TYPE, isUsersOwn, providerName, typeName } from "@/lib/names.ts";
import { LIST, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { BackLink } from "../BackLink.tsx";
import { Detail } from "../Detail.tsx";
import { AddModel } from "./AddModel.tsx";
import { Gone } from "./Gone.tsx";
import { KeyList } from "./KeyList.tsx";
import { ModelItem } from "./ModelItem.tsx";
import { ProgramAddress } from "./ProgramAddress.tsx";
import { ProviderAccess } from "./ProviderAccess.tsx";
import { ProviderForm } from "./ProviderForm.tsx";
import { ProviderHealthSection } from "./ProviderHealthSection.tsx";
import { namesOf, ProviderState } from "./ProviderItem.tsx";
import { ProviderTest } from "./ProviderTest.tsx";
import { RemoveProvider } from "./RemoveProvider.tsx";

export function ProviderPage() {
  const { providerId } = useParams({ strict: false });
  const isAdministrator = useIsAdministrator();
  const { data, error } = useProviders(isAdministrator === true);
  const provider = data?.find(({ id }) => id === providerId);
  if (isAdministrator === false) return <Notice tone="info" title="Only administrators see who runs the models." />;
  if (error) return <Notice tone="danger" title={describe(error)} />;
  if (data && !provider) return <Gone what="provider" />;
  return provider ? <ProviderDetail key={provider.id} provider={provider} /> : null;
}

function ProviderDetail({ provider }: { provider: Provider }) {
  const { busy, run } = useChange(keys.providers, keys.models);
  const navigate = useNavigate();
  const [panel, setPanel] = useState<"model" | "remove" | null>(null);
  const close = () => setPanel(null);
  const name = providerName(provider);
  const isDemo = provider.type === DEMO_TYPE;
  return (
    <Detail
      back={<BackLink to="/settings/models" text="Models" />}
      title={name}
      badge={<ProviderState provider={provider} />}
      text={[typeName(provider.type), provider.base_url || (isDemo ? "" : "at its usual address")].filter(Boolean).join(" · ")}
      action={<Switch label="In use" checked={provider.enabled} disabled={busy} onChange={(enabled) => void run(() => patchProvider(provider.id, { enabled }))} />}
    >
      {isUsersOwn(provider) ? <ProgramAddress provider={provider} /> : <Answering provider={provider} onAddModel={() => setPanel("model")} />}
      {isDemo ? null : <ProviderForm provider={provider} />}
      <Section title="Remove" text={isUsersOwn(provider) ? "Programs that use it are turned away." : "Its models and keys go with it. Chats keep their history."}>
        <Button look="danger" onClick={() => setPanel("remove")}>
          Remove {name}…
        </Button>
      </Section>
      {panel ? (
        <Dialog label={panel === "model" ? `Add a model of ${name}` : `Remove ${name}?`} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{panel === "model" ? `Add a model of ${name}` : `Remove ${name}?`}</h2>
            {panel === "model" ? <AddModel provider={provider} onDone={close} /> : null}
            {panel === "remove" ? <RemoveProvider provider={provider} onDone={close} onRemoved={() => void navigate({ to: "/settings/models" })} /> : null}
          </div>
        </Dialog>
      ) : null}
    </Detail>
  );
}

/** How it does, what it is asked with, and what for: for everything that answers chats. */
function Answering({ provider, onAddModel }: { provider: Provider; onAddModel: () => void }) {
  const models = useModels().data?.filter((model) => model.ai_provider_id === provider.id) ?? [];
  const health = useProviderHealth(provider.id);
  const isDemo = provider.type === DEMO_TYPE;
  return (
    <>
      {provider.enabled ? <ProviderHealthSection providerId={provider.id} models={namesOf(models)} /> : null}
      <Section title="Test" text="Asks the provider with the stored keys what it offers. Nothing is charged.">
        <ProviderTest provider={provider} asksAtOnce={false} />
      </Section>
      {isDemo ? null : <KeyList provider={provider} health={health} />}
      {isDemo || provider.central_api_key_enabled === undefined ? null : <ProviderAccess provider={provider} />}
      <Section
        title="Models"
        text="Those that can be chosen in a chat."
        action={
          <Button onClick={onAddModel}>
            <Plus size={15} /> Add
          </Button>
        }
      >
        <ul className={LIST}>
          {models.map((model) => (
            <ModelItem key={model.id} model={model} providerName={model.display_name && model.display_name !== model.model ? model.model : ""} canChange />
          ))}
          {models.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None yet. Nobody can use this provider until one is added.</li> : null}
        </ul>
      </Section>
    </>
  );
}

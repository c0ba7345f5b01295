import { useNavigate, useParams } from "@tanstack/react-router";
import { patchModel } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { ModelConfig } from "@/api/modelTypes.ts";
import { Badge } from "@/components/Badge.tsx";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { Switch } from "@/components/Switch.tsx";
import { keys } from "@/data/keys.ts";
import { useIsAdministrator, useModels, useProviders } from "@/data/queries.ts";
import { modelName, providerName, typeName } from "@/lib/names.ts";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { BackLink } from "../BackLink.tsx";
import { Detail } from "../Detail.tsx";
import { Gone } from "./Gone.tsx";
import { ModelForm } from "./ModelForm.tsx";
import { useRemoveModel } from "./useRemoveModel.ts";

export function ModelPage() {
  const { modelId } = useParams({ strict: false });
  const isAdministrator = useIsAdministrator();
  const { data, error } = useModels();
  const model = data?.find(({ id }) => id === modelId);
  if (isAdministrator === false) return <Notice tone="info" title="Only administrators set what models cost and how they are called." />;
  if (error) return <Notice tone="danger" title={describe(error)} />;
  if (data && !model) return <Gone what="model" />;
  return model ? <ModelDetail key={model.id} model={model} /> : null;
}

function ModelDetail({ model }: { model: ModelConfig }) {
  const { busy, run } = useChange(keys.models);
  const providers = useProviders();
  const navigate = useNavigate();
  const remove = useRemoveModel();
  const provider = providers.data?.find(({ id }) => id === model.ai_provider_id);
  const name = modelName(model);
  const removeAndLeave = async () => {
    if (await remove(model)) await navigate({ to: "/settings/models" });
  };
  return (
    <Detail
      back={<BackLink to="/settings/models" text="Models" />}
      title={name}
      badge={model.is_default ? <Badge text="Default" look="accent" /> : null}
      text={[name === model.model ? "" : model.model, provider ? providerName(provider) : typeName(model.provider)].filter(Boolean).join(" · ")}
      action={
        <div className="flex flex-wrap items-center gap-3">
          {model.is_default ? null : (
            <Button busy={busy} disabled={!model.enabled} onClick={() => void run(() => patchModel(model.id, { is_default: true }))}>
              Make default
            </Button>
          )}
          <Switch label="In use" checked={model.enabled} disabled={busy} onChange={(enabled) => void run(() => patchModel(model.id, { enabled }))} />
        </div>
      }
    >
      <ModelForm model={model} />
      <Section title="Remove" text="Chats keep their history and use the default model from then on.">
        <Button look="danger" onClick={() => void removeAndLeave()}>
          Remove {name}
        </Button>
      </Section>
    </Detail>
  );
}

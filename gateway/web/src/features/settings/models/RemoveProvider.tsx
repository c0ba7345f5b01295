import { deleteModel, deleteProvider } from "@/api/models.ts";
import type { Provider } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { keys } from "@/data/keys.ts";
import { useModels } from "@/data/queries.ts";
import { providerName } from "@/lib/names.ts";
import { useChange } from "../useChange.ts";

interface RemoveProviderProps {
  provider: Provider;
  onDone: () => void;
  onRemoved?: () => void;
}

export function RemoveProvider({ provider, onDone, onRemoved = onDone }: RemoveProviderProps) {
  const models = useModels();
  const { busy, run } = useChange(keys.providers, keys.models);
  // A model whose provider is gone could still be chosen, and would only fail.
  const removeAll = async () => {
    for (const model of models.data ?? []) if (model.ai_provider_id === provider.id) await deleteModel(model.id);
    await deleteProvider(provider.id);
  };
  const remove = async () => {
    if (await run(removeAll)) onRemoved();
  };
  return (
    <div className="space-y-4">
      <p className="text-sm text-muted">Its models and keys are removed with it. Chats keep their history and use the default model from then on.</p>
      <div className="flex gap-2">
        <Button look="danger" busy={busy} onClick={() => void remove()}>
          Remove {providerName(provider)}
        </Button>
        <Button look="quiet" onClick={onDone}>
          Keep it
        </Button>
      </div>
    </div>
  );
}

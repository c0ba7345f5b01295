import { deleteProvider } from "@/api/models.ts";
import type { Provider } from "@/api/types.ts";
import { Button } from "@/components/Button.tsx";
import { keys } from "@/data/keys.ts";
import { useChange } from "./useChange.ts";

export function RemoveProvider({ provider, onDone }: { provider: Provider; onDone: () => void }) {
  const { busy, run } = useChange(keys.providers, keys.models);
  const remove = async () => {
    if (await run(() => deleteProvider(provider.id))) onDone();
  };
  return (
    <div className="space-y-4">
      <p className="text-sm text-muted">Its models and keys are removed with it. Chats keep their history and use the default model from then on.</p>
      <div className="flex gap-2">
        <Button look="danger" busy={busy} onClick={() => void remove()}>
          Remove {provider.display_name || provider.name}
        </Button>
        <Button look="quiet" onClick={onDone}>
          Keep it
        </Button>
      </div>
    </div>
  );
}

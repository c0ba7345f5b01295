import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { patchProvider } from "@/api/models.ts";
import type { Provider, ProviderKey, ProviderPatch } from "@/api/types.ts";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { keys } from "@/data/keys.ts";
import { needsKey, providerName } from "@/lib/names.ts";
import { LIST, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { AddKey } from "./AddKey.tsx";

/** The keys of a provider, oldest first. The server lets them take turns, so they have no other order. */
export function KeyList({ provider }: { provider: Provider }) {
  const { busy, run } = useChange(keys.providers);
  const [panel, setPanel] = useState<"add" | ProviderKey | null>(null);
  const close = () => setPanel(null);
  const stored = provider.api_keys;
  const save = (api_keys: ProviderPatch["api_keys"] & object) => run(() => patchProvider(provider.id, { api_keys }));
  const remove = async ({ id }: ProviderKey) => {
    if (await save(stored.filter((key) => key.id !== id).map((key) => ({ id: key.id })))) close();
  };
  return (
    <Section
      title="Keys"
      text={stored.length > 1 ? "They take turns. One that is refused or busy rests, and the others answer meanwhile." : "With more than one they take turns, and one that is refused or busy rests."}
      action={
        <Button onClick={() => setPanel("add")}>
          <Plus size={15} /> Add
        </Button>
      }
    >
      <ul aria-label="Keys" className={LIST}>
        {stored.map((key) => (
          <li key={key.id} className="flex items-center gap-1 py-2 pr-2 pl-4">
            <span className="min-w-0 flex-1">
              <code className="block truncate font-mono text-sm">{key.masked}</code>
              <span className="block text-xs text-faint">
                added <RelativeTime iso={key.created_at} />
              </span>
            </span>
            <IconButton label={`Remove ${key.masked}`} tipSide="left" disabled={busy} onClick={() => setPanel(key)}>
              <Trash2 size={15} />
            </IconButton>
          </li>
        ))}
        {stored.length === 0 ? (
          <li className="px-4 py-4 text-sm text-muted">{needsKey(provider.type) ? "None. It answers nobody without one." : "None. Some servers need none."}</li>
        ) : null}
      </ul>
      {panel ? (
        <Dialog label={panel === "add" ? `Add a key of ${providerName(provider)}` : `Remove ${panel.masked}?`} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{panel === "add" ? `Add a key of ${providerName(provider)}` : `Remove ${panel.masked}?`}</h2>
            {panel === "add" ? (
              <AddKey provider={provider} onDone={close} />
            ) : (
              <div className="space-y-4">
                <p className="text-sm text-muted">{stored.length > 1 ? "The others go on answering." : "Its models answer nobody until there is another."} Nobody can read it back.</p>
                <div className="flex gap-2">
                  <Button look="danger" busy={busy} onClick={() => void remove(panel)}>
                    Remove key
                  </Button>
                  <Button look="quiet" onClick={close}>
                    Keep it
                  </Button>
                </div>
              </div>
            )}
          </div>
        </Dialog>
      ) : null}
    </Section>
  );
}

import { Plus } from "lucide-react";
import { useState } from "react";
import { patchProvider } from "@/api/models.ts";
import type { ProviderHealth } from "@/api/providerHealth.ts";
import type { Provider, ProviderKey, ProviderPatch } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { keys } from "@/data/keys.ts";
import { needsKey, providerName } from "@/lib/names.ts";
import { moved } from "@/lib/order.ts";
import { Confirm } from "../Confirm.tsx";
import { LIST, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { AddKey } from "./AddKey.tsx";
import { KeyRow } from "./KeyRow.tsx";

interface KeyListProps {
  provider: Provider;
  /** `undefined` while nobody knows. */
  health: ProviderHealth | undefined;
}

/** The keys of a provider in the order in which they are tried. */
export function KeyList({ provider, health }: KeyListProps) {
  const { busy, run } = useChange(keys.providers, keys.providerHealth);
  const [panel, setPanel] = useState<{ kind: "add" } | { kind: "replace"; key: ProviderKey } | { kind: "remove"; key: ProviderKey } | null>(null);
  const close = () => setPanel(null);
  const stored = provider.api_keys;
  const save = (api_keys: ProviderPatch["api_keys"] & object) => run(() => patchProvider(provider.id, { api_keys }));
  const remove = async ({ id }: ProviderKey) => {
    if (await save(stored.filter((key) => key.id !== id).map((key) => ({ id: key.id })))) close();
  };
  const move = (from: number, step: 1 | -1) => void save(moved(stored, from, from + step).map(({ id }) => ({ id })));
  return (
    <Section
      title="Keys"
      text={stored.length > 1 ? "The first that works is used. One that is refused or busy rests, and the next stands in." : "With more than one, the next stands in when one is refused or busy."}
      action={
        <Button onClick={() => setPanel({ kind: "add" })}>
          <Plus size={15} /> Add
        </Button>
      }
    >
      <ul aria-label="Keys" className={LIST}>
        {stored.map((key, place) => (
          <KeyRow
            key={key.id}
            stored={key}
            health={health?.keys.find(({ id }) => id === key.id)}
            place={place}
            count={stored.length}
            disabled={busy}
            onMove={(step) => move(place, step)}
            onReplace={() => setPanel({ kind: "replace", key })}
            onRemove={() => setPanel({ kind: "remove", key })}
          />
        ))}
        {stored.length === 0 ? (
          <li className="px-4 py-4 text-sm text-muted">{noKeyText(provider)}</li>
        ) : null}
      </ul>
      {panel && panel.kind !== "remove" ? (
        <Dialog label={titleOf(panel, provider)} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{titleOf(panel, provider)}</h2>
            <AddKey provider={provider} {...(panel.kind === "replace" && { inPlaceOf: panel.key })} onDone={close} />
          </div>
        </Dialog>
      ) : null}
      {panel?.kind === "remove" ? (
        <Confirm
          title={`Remove ${panel.key.masked}?`}
          text={`${stored.length > 1 ? "The others go on answering." : "Its models answer nobody until there is another."} Nobody can read it back.`}
          action="Remove key"
          busy={busy}
          onConfirm={() => void remove(panel.key)}
          onClose={close}
        />
      ) : null}
    </Section>
  );
}

const titleOf = (panel: { kind: "add" } | { kind: "replace"; key: ProviderKey }, provider: Provider) =>
  panel.kind === "add" ? `Add a key of ${providerName(provider)}` : `Replace ${panel.key.masked}`;

function noKeyText(provider: Provider): string {
  if (needsKey(provider)) return "None. It answers nobody without one.";
  return provider.type === "bedrock" ? "None. It is asked with the AWS credentials of the machine Tandem runs on." : "None. Some servers need none.";
}

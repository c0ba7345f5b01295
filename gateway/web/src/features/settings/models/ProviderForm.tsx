import { type FormEvent, useState } from "react";
import { patchProvider } from "@/api/models.ts";
import type { Provider, ProviderPatch } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { isWebAddress, withoutSlash } from "@/lib/address.ts";
import { isUsersOwn } from "@/lib/names.ts";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";

/** What a provider is called here, and where it is. */
export function ProviderForm({ provider }: { provider: Provider }) {
  const { busy, run } = useChange(keys.providers);
  const [name, setName] = useState(provider.display_name);
  const [address, setAddress] = useState(provider.base_url);
  const baseUrl = withoutSlash(address);
  const patch: ProviderPatch = {
    ...(name.trim() !== provider.display_name && { display_name: name.trim() }),
    ...(baseUrl !== provider.base_url && { base_url: baseUrl }),
  };
  const isPlaced = isWebAddress(baseUrl) || (baseUrl === "" && provider.base_url === "");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (await run(() => patchProvider(provider.id, patch))) toast("Saved");
  };
  return (
    <Section title="Name and address">
      <form onSubmit={(event) => void submit(event)} className="space-y-4">
        <Field label="Name" autoComplete="off" placeholder={provider.name} value={name} onChange={(event) => setName(event.target.value)} />
        <Field
          label="Address"
          type="url"
          inputMode="url"
          spellCheck={false}
          autoComplete="off"
          placeholder="The usual one of this provider"
          value={address}
          onChange={(event) => setAddress(event.target.value)}
          problem={isPlaced ? undefined : "An address begins with https:// or http://."}
          hint={`${isUsersOwn(provider) ? "What programs bring is" : "Keys are"} sent there. Change it only to a server you trust with ${isUsersOwn(provider) ? "that" : "them"}.`}
        />
        <Button type="submit" busy={busy} disabled={Object.keys(patch).length === 0 || !isPlaced}>
          Save
        </Button>
      </form>
    </Section>
  );
}

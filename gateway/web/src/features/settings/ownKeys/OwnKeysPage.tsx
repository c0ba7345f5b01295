import { KeyRound, Trash2 } from "lucide-react";
import { useState } from "react";
import { deleteOwnKey, type OwnKey } from "@/api/ownKeys.ts";
import { describe, isNotServed } from "@/api/problem.ts";
import { Badge } from "@/components/Badge.tsx";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { Notice } from "@/components/Notice.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { useOwnKeys } from "@/data/providers.ts";
import { providerName } from "@/lib/names.ts";
import { LIST, Loading, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { OwnKeyForm } from "./OwnKeyForm.tsx";
import { ownKeyText } from "./ownKeyText.ts";

/** Keys that users bring themselves, for the providers that take them. */
export function OwnKeysPage() {
  const { data, error } = useOwnKeys();
  const shown = data?.filter(({ byok_enabled, has_user_api_key }) => byok_enabled || has_user_api_key);
  if (error && data === undefined && !isNotServed(error)) return <Notice tone="danger" title={describe(error)} />;
  if ((error && data === undefined) || shown?.length === 0) {
    return (
      <Notice tone="info" title="No provider here takes keys of your own">
        The keys of this Tandem answer for everybody. An administrator can let users bring their own, for each provider.
      </Notice>
    );
  }
  return (
    <Section title="Your own keys" text="What you ask is then billed to your own account at the provider. Keys are stored encrypted and shown to nobody again.">
      <ul aria-label="Your own keys" className={LIST}>
        {shown?.map((ownKey) => <OwnKeyItem key={ownKey.provider.id} ownKey={ownKey} />)}
        {shown === undefined ? <Loading /> : null}
      </ul>
    </Section>
  );
}

function OwnKeyItem({ ownKey }: { ownKey: OwnKey }) {
  const { busy, run } = useChange(keys.ownKeys, keys.models);
  const [panel, setPanel] = useState<"set" | "remove" | null>(null);
  const close = () => setPanel(null);
  const { provider, has_user_api_key: hasKey } = ownKey;
  const name = providerName(provider);
  const { text, isMissing } = ownKeyText(ownKey);
  const title = panel === "remove" ? `Remove your key for ${name}?` : `Your key for ${name}`;
  const remove = async () => {
    if (!(await run(() => deleteOwnKey(provider.id)))) return;
    close();
    toast(`Your key for ${name} is removed`);
  };
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-2 py-2.5 pr-2 pl-4">
      <span className="min-w-0 flex-1 basis-40">
        <span className="flex items-center gap-2 text-sm font-medium">
          <span className="truncate">{name}</span>
          {provider.enabled ? null : <Badge text="Off" />}
          {isMissing ? <Badge text="No key" look="warn" /> : null}
        </span>
        <span className="block text-xs text-faint">
          {hasKey && ownKey.masked ? <code className="mr-1.5 font-mono text-muted">{ownKey.masked}</code> : null}
          {text}
        </span>
      </span>
      <span className="flex items-center gap-1">
        {ownKey.byok_enabled && provider.enabled ? (
          <Button disabled={busy} aria-label={`${hasKey ? "Replace" : "Set"} your key for ${name}`} onClick={() => setPanel("set")}>
            <KeyRound size={14} aria-hidden /> {hasKey ? "Replace" : "Set"}
          </Button>
        ) : null}
        {hasKey ? (
          <IconButton label={`Remove your key for ${name}`} tipSide="left" disabled={busy} onClick={() => setPanel("remove")}>
            <Trash2 size={15} />
          </IconButton>
        ) : null}
      </span>
      {panel ? (
        <Dialog label={title} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{title}</h2>
            {panel === "set" ? (
              <OwnKeyForm ownKey={ownKey} onDone={close} />
            ) : (
              <div className="space-y-4">
                <p className="text-sm text-muted">{ownKey.has_provider_api_key ? "Its models then answer you with the provider's own key." : "Its models then answer you nothing until you set another."} Nobody can read it back.</p>
                <div className="flex gap-2">
                  <Button look="danger" busy={busy} onClick={() => void remove()}>
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
    </li>
  );
}

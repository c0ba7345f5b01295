import { Link, useNavigate } from "@tanstack/react-router";
import { Activity, Ellipsis, KeyRound, ListPlus, Plug, Power, PowerOff, Trash2 } from "lucide-react";
import { useState } from "react";
import { patchProvider } from "@/api/models.ts";
import type { ModelConfig, Provider } from "@/api/modelTypes.ts";
import { Badge } from "@/components/Badge.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { useNow } from "@/components/useNow.ts";
import { keys } from "@/data/keys.ts";
import { useProviderHealth } from "@/data/providers.ts";
import { isUsersOwn, needsKey, providerName, typeName } from "@/lib/names.ts";
import { summarize } from "@/lib/providerHealth.ts";
import { useChange } from "../useChange.ts";
import { AddModel } from "./AddModel.tsx";
import { HealthLine } from "./HealthLine.tsx";
import { Row } from "./ModelItem.tsx";
import { ProviderTest } from "./ProviderTest.tsx";
import { RemoveProvider } from "./RemoveProvider.tsx";

type Panel = "test" | "model" | "remove";

interface ProviderItemProps {
  provider: Provider;
  models: readonly ModelConfig[];
}

export function ProviderItem({ provider, models }: ProviderItemProps) {
  const { busy, run } = useChange(keys.providers);
  const navigate = useNavigate();
  const [panel, setPanel] = useState<Panel | null>(null);
  const close = () => setPanel(null);
  const name = providerName(provider);
  const titles: Record<Panel, string> = { test: `Test ${name}`, model: `Add a model of ${name}`, remove: `Remove ${name}?` };
  const open = () => void navigate({ to: "/settings/models/providers/$providerId", params: { providerId: provider.id } });
  return (
    <Row
      link={
        <Link to="/settings/models/providers/$providerId" params={{ providerId: provider.id }} className="block min-w-0 flex-1 rounded-md py-2.5 pl-4 -outline-offset-2 touch:min-h-14">
          <span className="flex items-center gap-2 text-sm font-medium">
            <span className="truncate">{name}</span>
            <ProviderState provider={provider} />
          </span>
          <span className="block truncate text-xs text-faint">{facts(provider, models.length)}</span>
          <Health provider={provider} models={models} />
        </Link>
      }
    >
      <Menu
        trigger={
          <IconButton label={`Actions for ${name}`} tipSide="left" disabled={busy}>
            <Ellipsis size={16} />
          </IconButton>
        }
        entries={[
          ...(isUsersOwn(provider)
            ? [{ label: "Address for programs", icon: <Plug />, onSelect: open }]
            : [
                { label: "Test", icon: <Activity />, onSelect: () => setPanel("test") },
                { label: "Add a model…", icon: <ListPlus />, onSelect: () => setPanel("model") },
                { label: "Keys and address", icon: <KeyRound />, onSelect: open },
              ]),
          provider.enabled
            ? { label: "Switch off", icon: <PowerOff />, onSelect: () => void run(() => patchProvider(provider.id, { enabled: false })) }
            : { label: "Switch on", icon: <Power />, onSelect: () => void run(() => patchProvider(provider.id, { enabled: true })) },
          "separator",
          { label: "Remove…", icon: <Trash2 />, danger: true, onSelect: () => setPanel("remove") },
        ]}
      />
      {panel ? (
        <Dialog label={titles[panel]} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{titles[panel]}</h2>
            {panel === "test" ? <ProviderTest provider={provider} /> : null}
            {panel === "model" ? <AddModel provider={provider} onDone={close} /> : null}
            {panel === "remove" ? <RemoveProvider provider={provider} onDone={close} /> : null}
          </div>
        </Dialog>
      ) : null}
    </Row>
  );
}

const STEP_MS = 10_000;

/** In one line; nothing while nobody knows, or while it is not used. */
function Health({ provider, models }: ProviderItemProps) {
  const now = useNow(STEP_MS);
  const health = useProviderHealth(provider.id);
  if (!health || !provider.enabled || lacksKey(provider) || isUsersOwn(provider)) return null;
  const { level, word, reason } = summarize(health, namesOf(models), now);
  return (
    <HealthLine level={level} word={word} className="mt-0.5 text-xs text-muted">
      {reason === "" ? "" : `: ${reason}`}
    </HealthLine>
  );
}

/** Those that can be chosen, as the provider calls them. */
export const namesOf = (models: readonly ModelConfig[]) => models.filter(({ enabled }) => enabled).map(({ model }) => model);

const lacksKey = (provider: Provider) => needsKey(provider) && provider.api_keys.length === 0 && provider.allow_user_api_key !== true;

/** What stands in the way of its answering, if anything does. */
export function ProviderState({ provider }: { provider: Provider }) {
  if (!provider.enabled) return <Badge text="Off" />;
  return lacksKey(provider) ? <Badge text="No key" look="warn" /> : null;
}

function facts(provider: Provider, modelCount: number): string {
  const count = provider.api_keys.length;
  const type = typeName(provider.type);
  return [
    type === providerName(provider) ? "" : type,
    isUsersOwn(provider) ? "for programs, with the sign-in of whoever uses them" : modelCount === 1 ? "1 model" : `${String(modelCount)} models`,
    count === 0 ? "" : count === 1 ? provider.api_keys[0]?.masked : `${String(count)} keys`,
    provider.base_url,
  ]
    .filter(Boolean)
    .join(" · ");
}

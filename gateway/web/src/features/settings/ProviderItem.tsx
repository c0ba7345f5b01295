import { Activity, Ellipsis, KeyRound, ListPlus, Power, PowerOff, Trash2 } from "lucide-react";
import { useState } from "react";
import { patchProvider } from "@/api/models.ts";
import type { Provider } from "@/api/types.ts";
import { Dialog } from "@/components/Dialog.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { keys } from "@/data/keys.ts";
import { providerName } from "@/lib/names.ts";
import { AddModel } from "./AddModel.tsx";
import { ProviderTest } from "./ProviderTest.tsx";
import { RemoveProvider } from "./RemoveProvider.tsx";
import { ReplaceKey } from "./ReplaceKey.tsx";
import { useChange } from "./useChange.ts";

type Panel = "test" | "key" | "model" | "remove";

export function ProviderItem({ provider }: { provider: Provider }) {
  const { busy, run } = useChange(keys.providers, keys.models);
  const [panel, setPanel] = useState<Panel | null>(null);
  const close = () => setPanel(null);
  const name = providerName(provider);
  const keyText = provider.api_keys.map((key) => key.masked).join(", ");
  const titles: Record<Panel, string> = { test: `Test ${name}`, key: `Key of ${name}`, model: `Add a model of ${name}`, remove: `Remove ${name}?` };
  return (
    <li className="flex items-center gap-3 py-2.5 pr-2 pl-4">
      <div className="min-w-0 flex-1">
        <p className="flex items-center gap-2 text-sm font-medium">
          <span className="truncate">{name}</span>
          {provider.enabled ? null : <span className="shrink-0 rounded-full bg-hover px-2 text-xs font-medium text-muted">Off</span>}
        </p>
        <p className="truncate text-xs text-faint">{[provider.base_url, keyText].filter(Boolean).join(" · ") || "Built in"}</p>
      </div>
      <Menu
        trigger={
          <IconButton label={`Actions for ${name}`} tipSide="left" disabled={busy}>
            <Ellipsis size={16} />
          </IconButton>
        }
        entries={[
          { label: "Test", icon: <Activity />, onSelect: () => setPanel("test") },
          { label: "Add a model…", icon: <ListPlus />, onSelect: () => setPanel("model") },
          { label: provider.api_keys.length > 0 ? "Replace key…" : "Set key…", icon: <KeyRound />, disabled: provider.type === "demo", onSelect: () => setPanel("key") },
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
            {panel === "key" ? <ReplaceKey provider={provider} onDone={close} /> : null}
            {panel === "model" ? <AddModel provider={provider} onDone={close} /> : null}
            {panel === "remove" ? <RemoveProvider provider={provider} onDone={close} /> : null}
          </div>
        </Dialog>
      ) : null}
    </li>
  );
}

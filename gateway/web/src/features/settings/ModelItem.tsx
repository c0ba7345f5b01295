import { Ellipsis, Power, PowerOff, Star, Trash2 } from "lucide-react";
import { createModel, deleteModel, patchModel } from "@/api/models.ts";
import type { ModelConfig } from "@/api/types.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { modelName } from "@/lib/names.ts";
import { useChange } from "./useChange.ts";

export function ModelItem({ model, providerName }: { model: ModelConfig; providerName: string }) {
  const { busy, run } = useChange(keys.models);
  const name = modelName(model);
  const remove = async () => {
    if (!(await run(() => deleteModel(model.id)))) return;
    const { ai_provider_id, context_limit, display_name, is_default } = model;
    if (ai_provider_id === undefined) return;
    const restore = () => void run(() => createModel({ ai_provider_id, model: model.model, context_limit, display_name, is_default }));
    toast(`Removed ${name}`, { action: { label: "Undo", run: restore } });
  };
  return (
    <li className="flex items-center gap-3 py-2.5 pr-2 pl-4">
      <div className="min-w-0 flex-1">
        <p className="flex items-center gap-2 text-sm font-medium">
          <span className="truncate">{name}</span>
          {model.is_default ? <span className="shrink-0 rounded-full bg-accent-soft px-2 text-xs font-medium text-accent">Default</span> : null}
          {model.enabled ? null : <span className="shrink-0 rounded-full bg-hover px-2 text-xs font-medium text-muted">Off</span>}
        </p>
        <p className="truncate text-xs text-faint">
          {providerName} · {model.context_limit.toLocaleString()} tokens of context
        </p>
      </div>
      <Menu
        trigger={
          <IconButton label={`Actions for ${name}`} tipSide="left" disabled={busy}>
            <Ellipsis size={16} />
          </IconButton>
        }
        entries={[
          { label: "Make default", icon: <Star />, disabled: model.is_default || !model.enabled, onSelect: () => void run(() => patchModel(model.id, { is_default: true })) },
          model.enabled
            ? { label: "Switch off", icon: <PowerOff />, onSelect: () => void run(() => patchModel(model.id, { enabled: false })) }
            : { label: "Switch on", icon: <Power />, onSelect: () => void run(() => patchModel(model.id, { enabled: true })) },
          "separator",
          { label: "Remove", icon: <Trash2 />, danger: true, onSelect: () => void remove() },
        ]}
      />
    </li>
  );
}

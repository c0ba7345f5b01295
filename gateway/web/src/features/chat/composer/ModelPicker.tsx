import { ChevronDown } from "lucide-react";
import { Menu, type MenuEntry } from "@/components/Menu.tsx";
import { useChoosableModels } from "@/data/queries.ts";
import { DEMO_TYPE, modelName } from "@/lib/names.ts";

interface ModelPickerProps {
  modelId: string;
  onChange: (id: string) => void;
}

export function ModelPicker({ modelId, onChange }: ModelPickerProps) {
  const { models, fallback, isLoaded } = useChoosableModels();
  const chosen = models.find((model) => model.id === modelId) ?? fallback;
  const name = chosen ? modelName(chosen) : isLoaded ? "No model" : "…";
  const entries: MenuEntry[] = models.map((model) => ({
    label: modelName(model),
    hint: [model.provider === DEMO_TYPE ? "built in" : model.provider, ...(model.is_default ? ["default"] : [])].join(" · "),
    checked: model.id === chosen?.id,
    onSelect: () => onChange(model.id),
  }));
  return (
    <Menu
      label="Model"
      side="top"
      align="start"
      entries={entries}
      trigger={
        <button
          type="button"
          aria-label={`Model: ${name}`}
          disabled={models.length === 0}
          className="flex h-8 min-w-0 items-center gap-1 rounded-md px-2 text-sm text-muted hover:bg-hover hover:text-ink touch:h-11"
        >
          <span className="max-w-56 truncate max-sm:max-w-28">{name}</span>
          <ChevronDown size={14} className="shrink-0" aria-hidden />
        </button>
      }
    />
  );
}

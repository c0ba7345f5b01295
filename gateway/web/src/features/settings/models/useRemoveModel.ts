import { createModel, deleteModel } from "@/api/models.ts";
import type { ModelConfig } from "@/api/modelTypes.ts";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { modelName } from "@/lib/names.ts";
import { useChange } from "../useChange.ts";

/** Removes a model; for as long as the message about it is shown it can be had back as it was. */
export function useRemoveModel(): (model: ModelConfig) => Promise<boolean> {
  const { run } = useChange(keys.models);
  return async (model) => {
    if (!(await run(() => deleteModel(model.id)))) return false;
    const { ai_provider_id, display_name, context_limit, compression_threshold, enabled, is_default, model_config } = model;
    const undo = ai_provider_id && {
      label: "Undo",
      run: () =>
        void run(() => createModel({ ai_provider_id, model: model.model, display_name, context_limit, compression_threshold, enabled, is_default, ...(model_config && { model_config }) })),
    };
    toast(`Removed ${modelName(model)}`, undo ? { action: undo } : {});
    return true;
  };
}

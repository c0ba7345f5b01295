import { ModelPicker } from "./ModelPicker.tsx";
import { PlanSwitch } from "./PlanSwitch.tsx";
import { ServerPicker } from "./ServerPicker.tsx";
import type { PlanChoice } from "./usePlanChoice.ts";
import type { ServerChoice } from "./useServerChoice.ts";

interface ChoicesProps {
  modelId: string;
  onModel: (id: string) => void;
  servers: ServerChoice | undefined;
  plan: PlanChoice | undefined;
}

/** Who answers, with which tools, and whether a plan comes first. */
export function Choices({ modelId, onModel, servers, plan }: ChoicesProps) {
  return (
    <>
      <ModelPicker modelId={modelId} onChange={onModel} />
      {servers ? <ServerPicker choice={servers} /> : null}
      {plan ? <PlanSwitch choice={plan} /> : null}
    </>
  );
}

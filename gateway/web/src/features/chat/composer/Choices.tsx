import { classes } from "@/lib/classes.ts";
import { ApprovalPicker } from "./ApprovalPicker.tsx";
import { MannerPicker } from "./MannerPicker.tsx";
import { ModelPicker } from "./ModelPicker.tsx";
import { PlanSwitch } from "./PlanSwitch.tsx";
import { ServerPicker } from "./ServerPicker.tsx";
import type { ApprovalChoice } from "./useApprovalChoice.ts";
import type { PlanChoice } from "./usePlanChoice.ts";
import type { ServerChoice } from "./useServerChoice.ts";

interface ChoicesProps {
  modelId: string;
  onModel: (id: string) => void;
  servers: ServerChoice | undefined;
  plan: PlanChoice | undefined;
  approval: ApprovalChoice | undefined;
}

/** Who answers, with which tools, whether a plan comes first, and before what the reader is asked. Where there is little room the last two share a button. */
export function Choices({ modelId, onModel, servers, plan, approval }: ChoicesProps) {
  return (
    <>
      <ModelPicker modelId={modelId} onChange={onModel} />
      {servers ? <ServerPicker choice={servers} /> : null}
      <span className={classes("flex shrink-0 gap-1", approval && "max-md:hidden")}>
        {plan ? <PlanSwitch choice={plan} /> : null}
        {approval ? <ApprovalPicker choice={approval} /> : null}
      </span>
      {approval ? (
        <span className="md:hidden">
          <MannerPicker plan={plan} approval={approval} />
        </span>
      ) : null}
    </>
  );
}

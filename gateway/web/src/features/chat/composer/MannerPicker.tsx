import { SlidersHorizontal } from "lucide-react";
import { Menu } from "@/components/Menu.tsx";
import { modeWords } from "@/lib/approvals.ts";
import { classes } from "@/lib/classes.ts";
import { modeEntries } from "./ApprovalPicker.tsx";
import type { ApprovalChoice } from "./useApprovalChoice.ts";
import type { PlanChoice } from "./usePlanChoice.ts";

interface MannerPickerProps {
  plan: PlanChoice | undefined;
  approval: ApprovalChoice;
}

/** Where there is little room: whether a plan comes first and before which calls the reader is asked, behind one button. */
export function MannerPicker({ plan, approval }: MannerPickerProps) {
  const isSet = plan?.isOn === true || approval.mode !== "never";
  const planEntry = plan && { label: "Plan first", hint: "It looks around and proposes a plan, and changes nothing.", isHintWhole: true, checked: plan.isOn, isOneOfSeveral: true, onSelect: plan.toggle };
  return (
    <Menu
      label="How the agent works"
      side="top"
      align="start"
      entries={[...(planEntry ? [planEntry, "separator" as const] : []), ...modeEntries(approval)]}
      trigger={
        <button
          type="button"
          aria-label={`How it works: ${[plan?.isOn ? "plan first" : "", modeWords(approval.mode).name.toLowerCase()].filter(Boolean).join(", ")}`}
          className={classes("grid h-8 min-w-8 shrink-0 place-items-center rounded-md hover:bg-hover touch:h-11 touch:min-w-11", isSet ? "bg-accent-soft text-ink" : "text-muted")}
        >
          <SlidersHorizontal size={15} aria-hidden />
        </button>
      }
    />
  );
}

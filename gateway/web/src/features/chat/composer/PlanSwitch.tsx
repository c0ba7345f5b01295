import { ClipboardList } from "lucide-react";
import { classes } from "@/lib/classes.ts";
import type { PlanChoice } from "./usePlanChoice.ts";

/** Has the agent look around and propose a plan first, instead of changing anything. */
export function PlanSwitch({ choice: { isOn, toggle } }: { choice: PlanChoice }) {
  return (
    <button
      type="button"
      aria-pressed={isOn}
      aria-label="Plan first"
      data-tip={isOn ? "Plans first, changes nothing" : "Plan first"}
      data-tip-side="top"
      onClick={toggle}
      className={classes(
        "tip flex h-8 shrink-0 items-center gap-1.5 rounded-md px-2 text-sm hover:bg-hover touch:h-11 touch:min-w-11",
        isOn ? "bg-accent-soft text-ink" : "text-muted hover:text-ink",
      )}
    >
      <ClipboardList size={15} className="shrink-0" aria-hidden />
      {isOn ? <span className="max-sm:hidden">Plan</span> : null}
    </button>
  );
}

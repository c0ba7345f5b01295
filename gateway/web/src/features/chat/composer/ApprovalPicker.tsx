import { Hand } from "lucide-react";
import { Menu, type MenuEntry } from "@/components/Menu.tsx";
import { classes } from "@/lib/classes.ts";
import { MODES, modeWords } from "@/lib/approvals.ts";
import type { ApprovalChoice } from "./useApprovalChoice.ts";

/** The three modes, each with what it means. */
export const modeEntries = ({ mode, choose }: ApprovalChoice): MenuEntry[] =>
  MODES.map((one) => ({ label: one.name, hint: one.means, isHintWhole: true, checked: one.mode === mode, onSelect: () => choose(one.mode) }));

/** Before which calls the reader is asked. */
export function ApprovalPicker({ choice }: { choice: ApprovalChoice }) {
  const { name, short } = modeWords(choice.mode);
  return (
    <Menu
      label="Before the agent uses a tool"
      side="top"
      align="start"
      entries={modeEntries(choice)}
      trigger={
        <button
          type="button"
          aria-label={`Approvals: ${name}${short === "" ? "" : ` · ${short}`}`}
          data-tip={name}
          data-tip-side="top"
          className={classes(
            "tip flex h-8 shrink-0 items-center gap-1.5 rounded-md px-2 text-sm hover:bg-hover touch:h-11 touch:min-w-11",
            short === "" ? "text-muted hover:text-ink" : "bg-accent-soft text-ink",
          )}
        >
          <Hand size={15} className="shrink-0" aria-hidden />
          {short === "" ? null : <span>{short}</span>}
        </button>
      }
    />
  );
}

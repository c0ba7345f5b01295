import { X } from "lucide-react";
import type { Label } from "@/lib/labels.ts";

interface LabelChipProps {
  label: Label;
  /** Absent: it cannot be taken off here. */
  onRemove?: () => void;
}

export function LabelChip({ label, onRemove }: LabelChipProps) {
  return (
    <span className="inline-flex max-w-full items-center rounded-[5px] border border-line bg-raised text-xs leading-[18px]">
      <span className="shrink-0 truncate pl-1.5 text-faint">{label.key}:</span>
      <span className={onRemove ? "truncate pl-1 font-medium" : "truncate pr-1.5 pl-1 text-muted"}>{label.value}</span>
      {onRemove ? (
        <button type="button" aria-label={`Remove ${label.key}: ${label.value}`} className="ml-0.5 grid size-6 shrink-0 place-items-center rounded-[5px] text-muted hover:bg-hover hover:text-ink touch:size-11" onClick={onRemove}>
          <X size={12} />
        </button>
      ) : null}
    </span>
  );
}

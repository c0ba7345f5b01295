import { classes } from "@/lib/classes.ts";

interface SwitchProps {
  label: string;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}

/** Something that is on or off, and changes at once. */
export function Switch({ label, checked, disabled = false, onChange }: SwitchProps) {
  return (
    <button
      type="button"
      role="switch"
      aria-checked={checked}
      disabled={disabled}
      onClick={() => onChange(!checked)}
      className="inline-flex h-9 shrink-0 items-center gap-2.5 rounded-md px-1 text-sm select-none disabled:opacity-55 touch:h-11"
    >
      <span aria-hidden className={classes("flex h-5 w-9 items-center rounded-full border p-0.5 transition-colors", checked ? "justify-end border-accent bg-accent" : "justify-start border-line-strong bg-canvas")}>
        <span className={classes("size-3.5 rounded-full", checked ? "bg-accent-ink" : "bg-line-strong")} />
      </span>
      {label}
    </button>
  );
}

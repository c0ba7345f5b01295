import { useId } from "react";
import { classes } from "@/lib/classes.ts";

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}

/** One of a few, all of which are seen. Arrow keys move between them, as between any radio buttons. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  const name = useId();
  return (
    <div role="radiogroup" aria-label={label} className="inline-flex flex-wrap rounded-md border border-line p-0.5">
      {options.map(([option, text]) => (
        <label
          key={option}
          className={classes(
            "relative inline-flex h-8 cursor-pointer items-center rounded-md px-3.5 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent touch:h-11",
            option === value ? "bg-selected font-medium" : "text-muted hover:bg-hover",
          )}
        >
          <input type="radio" name={name} value={option} checked={option === value} onChange={() => onChange(option)} className="absolute inset-0 cursor-pointer opacity-0" />
          {text}
        </label>
      ))}
    </div>
  );
}

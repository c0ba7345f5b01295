import { classes } from "@/lib/classes.ts";

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}

/** One of a few, all of which are seen. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <div role="radiogroup" aria-label={label} className="inline-flex flex-wrap rounded-md border border-line p-0.5">
      {options.map(([option, name]) => (
        <button
          key={option}
          type="button"
          role="radio"
          aria-checked={option === value}
          onClick={() => onChange(option)}
          className={classes("h-8 rounded-md px-3.5 text-sm touch:h-11", option === value ? "bg-selected font-medium" : "text-muted hover:bg-hover")}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

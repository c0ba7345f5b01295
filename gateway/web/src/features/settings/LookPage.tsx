import { classes } from "@/lib/classes.ts";
import { usePrefs } from "@/data/prefs.ts";
import { Section } from "./Section.tsx";

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}

function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <div role="radiogroup" aria-label={label} className="inline-flex rounded-md border border-line p-0.5">
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

export function LookPage() {
  const { theme, density, set } = usePrefs();
  return (
    <>
      <Section title="Theme">
        <Choice label="Theme" value={theme} onChange={(value) => set({ theme: value })} options={[["system", "As the system"], ["light", "Light"], ["dark", "Dark"]]} />
      </Section>
      <Section title="Density" text="How close the chats in the list stand.">
        <Choice label="Density" value={density} onChange={(value) => set({ density: value })} options={[["comfortable", "Comfortable"], ["compact", "Compact"]]} />
      </Section>
    </>
  );
}

import { classes } from "@/lib/classes.ts";

export function StepBar({ step, steps }: { step: number; steps: readonly string[] }) {
  return (
    <ol aria-label="Steps" className="mt-8 flex gap-2">
      {steps.map((name, index) => (
        <li key={name} aria-current={index === step ? "step" : undefined} className="flex-1">
          <span className={classes("block h-1 rounded-full", index <= step ? "bg-accent" : "bg-selected")} />
          <span className={classes("mt-1.5 block text-xs", index === step ? "text-ink" : "text-faint")}>{name}</span>
        </li>
      ))}
    </ol>
  );
}

import { type InputHTMLAttributes, type ReactNode, useId } from "react";
import { classes } from "@/lib/classes.ts";

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: ReactNode;
  /** Shown and read out in place of the hint. */
  problem?: string | undefined;
}

export function Field({ label, hint, problem, className, ...rest }: FieldProps) {
  const id = useId();
  const note = problem ?? hint;
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <input
        id={id}
        aria-describedby={note ? `${id}-note` : undefined}
        aria-invalid={problem ? true : undefined}
        className={classes(
          "h-10 w-full rounded-md border bg-canvas px-3 text-base text-ink touch:h-11",
          problem ? "border-danger" : "border-line-strong",
        )}
        {...rest}
      />
      {note ? (
        <p id={`${id}-note`} className={classes("mt-1.5 text-sm", problem ? "text-danger" : "text-faint")}>
          {note}
        </p>
      ) : null}
    </div>
  );
}

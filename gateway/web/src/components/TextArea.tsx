import { type TextareaHTMLAttributes, useId } from "react";
import { classes } from "@/lib/classes.ts";

interface TextAreaProps extends TextareaHTMLAttributes<HTMLTextAreaElement> {
  label: string;
  hint?: string | undefined;
  /** Shown and read out in place of the hint. */
  problem?: string | undefined;
}

/** A field of several lines for what programs read. */
export function TextArea({ label, hint, problem, className, ...rest }: TextAreaProps) {
  const id = useId();
  const note = problem ?? hint;
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <textarea
        id={id}
        spellCheck={false}
        autoComplete="off"
        aria-describedby={note ? `${id}-note` : undefined}
        aria-invalid={problem ? true : undefined}
        className={classes("w-full resize-y rounded-md border bg-canvas px-3 py-2 font-mono text-sm text-ink", problem ? "border-danger" : "border-line-strong")}
        {...rest}
      />
      {note ? (
        <p id={`${id}-note`} className={classes("mt-1 text-sm wrap-anywhere", problem ? "text-danger" : "text-faint")}>
          {note}
        </p>
      ) : null}
    </div>
  );
}

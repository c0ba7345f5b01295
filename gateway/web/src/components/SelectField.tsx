import { type ReactNode, type SelectHTMLAttributes, useId } from "react";

interface SelectFieldProps extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  hint?: string | undefined;
  children: ReactNode;
}

export function SelectField({ label, hint, children, className, ...rest }: SelectFieldProps) {
  const id = useId();
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <select id={id} aria-describedby={hint ? `${id}-note` : undefined} className="h-10 w-full rounded-md border border-line-strong bg-canvas px-2.5 text-base text-ink touch:h-11" {...rest}>
        {children}
      </select>
      {hint ? (
        <p id={`${id}-note`} className="mt-1.5 text-sm text-faint">
          {hint}
        </p>
      ) : null}
    </div>
  );
}

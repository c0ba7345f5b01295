import type { ButtonHTMLAttributes } from "react";
import { classes } from "@/lib/classes.ts";
import { Spinner } from "./Spinner.tsx";

type Look = "primary" | "secondary" | "quiet" | "danger";

const LOOKS: Record<Look, string> = {
  primary: "bg-accent text-accent-ink hover:brightness-95 dark:hover:brightness-110",
  secondary: "border border-line-strong/45 bg-raised text-ink hover:bg-hover",
  quiet: "text-muted hover:bg-hover hover:text-ink",
  danger: "border border-danger-line text-danger hover:bg-danger-soft",
};

/** How a button looks, for links that stand where buttons do. */
export function buttonClasses(look: Look, className?: string): string {
  return classes(
    "inline-flex h-9 shrink-0 items-center justify-center gap-2 rounded-md px-3.5 text-sm font-medium whitespace-nowrap select-none",
    "transition-colors duration-100 disabled:opacity-55 touch:h-11",
    LOOKS[look],
    className,
  );
}

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  busy?: boolean;
}

export function Button({ look = "secondary", busy = false, className, children, disabled, type = "button", ...rest }: ButtonProps) {
  return (
    <button
      // oxlint-disable-next-line react/button-has-type -- always one of the three, "button" unless told otherwise
      type={type}
      disabled={disabled === true || busy}
      aria-busy={busy || undefined}
      className={buttonClasses(look, className)}
      {...rest}
    >
      {busy ? <Spinner /> : null}
      {children}
    </button>
  );
}

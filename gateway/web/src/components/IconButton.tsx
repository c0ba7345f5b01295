import type { ButtonHTMLAttributes } from "react";
import { classes } from "@/lib/classes.ts";

interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** Read out and shown as tooltip. */
  label: string;
  tipSide?: "top" | "bottom" | "left";
  size?: "sm" | "md";
}

/** An icon that does something: always with a name. */
export function IconButton({ label, tipSide = "bottom", size = "md", className, children, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      data-tip={label}
      data-tip-side={tipSide}
      className={classes(
        "tip inline-flex shrink-0 items-center justify-center rounded-md text-muted transition-colors duration-100 hover:bg-hover hover:text-ink disabled:opacity-45",
        size === "sm" ? "size-7 touch:h-11 touch:w-10" : "size-8 touch:size-11",
        className,
      )}
      {...rest}
    >
      {children}
    </button>
  );
}

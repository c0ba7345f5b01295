import { CircleAlert, CircleCheck, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { classes } from "@/lib/classes.ts";
import type { Level } from "@/lib/providerHealth.ts";

const LOOKS = {
  healthy: { icon: CircleCheck, look: "text-ok" },
  degraded: { icon: TriangleAlert, look: "text-warn" },
  failing: { icon: CircleAlert, look: "text-danger" },
} as const;

interface HealthLineProps {
  level: Level;
  /** The first words, which carry the colour. */
  word: string;
  children?: ReactNode;
  className?: string;
}

/** How something does: a sign, a word, and why. */
export function HealthLine({ level, word, children, className }: HealthLineProps) {
  const { icon: Icon, look } = LOOKS[level];
  return (
    <span className={classes("flex gap-1.5", className)}>
      <Icon size={14} className={classes("mt-[calc((1lh-14px)/2)] shrink-0", look)} aria-hidden />
      <span className="min-w-0 wrap-anywhere">
        <span className={classes("font-medium", look)}>{word}</span>
        {children}
      </span>
    </span>
  );
}

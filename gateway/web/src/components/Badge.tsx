import { classes } from "@/lib/classes.ts";

const LOOKS = { plain: "bg-hover text-muted", accent: "bg-accent-soft text-accent", warn: "bg-warn-soft text-warn" };

/** A word about something, beside its name. */
export function Badge({ text, look = "plain" }: { text: string; look?: keyof typeof LOOKS }) {
  return <span className={classes("shrink-0 rounded-full px-2 text-xs font-medium", LOOKS[look])}>{text}</span>;
}

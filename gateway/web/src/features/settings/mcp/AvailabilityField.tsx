import { useId } from "react";
import type { McpAvailability } from "@/api/mcp.ts";
import { classes } from "@/lib/classes.ts";
import { AVAILABILITIES } from "@/lib/mcp.ts";

const ORDER: readonly McpAvailability[] = ["default_off", "default_on", "force_on"];

interface AvailabilityFieldProps {
  value: McpAvailability;
  onChange: (value: McpAvailability) => void;
}

/** Which chats use a server, each choice with what it means. */
export function AvailabilityField({ value, onChange }: AvailabilityFieldProps) {
  const id = useId();
  return (
    <div role="radiogroup" aria-label="Which chats use it" className="divide-y divide-line rounded-xl border border-line">
      {ORDER.map((option) => (
        <label key={option} htmlFor={`${id}-${option}`} className={classes("flex cursor-pointer gap-3 px-4 py-3 text-sm first:rounded-t-xl last:rounded-b-xl", option === value ? "bg-selected" : "hover:bg-hover")}>
          <input id={`${id}-${option}`} type="radio" name={id} aria-label={AVAILABILITIES[option].name} checked={option === value} onChange={() => onChange(option)} aria-describedby={`${id}-${option}-text`} className="mt-0.5 size-4 shrink-0 accent-accent" />
          <span className="min-w-0">
            <span className="block font-medium">{AVAILABILITIES[option].name}</span>
            <span id={`${id}-${option}-text`} className="block text-muted">
              {AVAILABILITIES[option].text}
            </span>
          </span>
        </label>
      ))}
    </div>
  );
}

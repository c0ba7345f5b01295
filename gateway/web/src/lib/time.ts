// Times as people read them. Pure: the present is always handed in.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "now", "4m", "3h", "2d", then a date. */
export function ago(iso: string, now: number): string {
  const then = Date.parse(iso);
  const age = now - then;
  if (Number.isNaN(age)) return "";
  if (age < MINUTE) return "now";
  if (age < HOUR) return `${Math.floor(age / MINUTE)}m`;
  if (age < DAY) return `${Math.floor(age / HOUR)}h`;
  if (age < 7 * DAY) return `${Math.floor(age / DAY)}d`;
  return new Date(then).toLocaleDateString(undefined, { month: "short", day: "numeric" });
}

/** "in 40 s", "in 12 min", "in 5 h", "in 2 days"; "any moment" once it is past. Rounded down: nobody is promised more than there is. */
export function ahead(iso: string, now: number): string {
  const left = Date.parse(iso) - now;
  if (Number.isNaN(left)) return "";
  if (left < 1_000) return "any moment";
  if (left < MINUTE) return `in ${Math.floor(left / 1_000)} s`;
  if (left < HOUR) return `in ${Math.floor(left / MINUTE)} min`;
  if (left < 2 * DAY) return `in ${Math.floor(left / HOUR)} h`;
  return `in ${Math.floor(left / DAY)} days`;
}

export function exactTime(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** "420 ms", "3.2 s", "48 s", "2 m 05 s". */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / 1_000)} s`;
  return `${Math.floor(ms / MINUTE)} m ${String(Math.floor((ms % MINUTE) / 1_000)).padStart(2, "0")} s`;
}

/** A running clock in whole seconds: no flicker of decimals while it runs. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
}

export type DayGroup = "Today" | "Yesterday" | "Previous 7 days" | "Previous 30 days" | "Older";

export function dayGroup(iso: string, now: number): DayGroup {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const then = Date.parse(iso);
  if (then >= midnight) return "Today";
  if (then >= midnight - DAY) return "Yesterday";
  if (then >= midnight - 7 * DAY) return "Previous 7 days";
  if (then >= midnight - 30 * DAY) return "Previous 30 days";
  return "Older";
}

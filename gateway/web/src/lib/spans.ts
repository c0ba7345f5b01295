// Spans of whole days, by UTC, as the server counts periods. Pure.

export interface Days {
  start: string;
  end: string;
}

const DAY = 86_400_000;

export const RANGES = [7, 30, 90] as const;
export type Range = (typeof RANGES)[number];

/** So many days, the last of which is today. */
export function lastDays(days: number, now: number): Days {
  const end = (Math.floor(now / DAY) + 1) * DAY;
  return { start: iso(end - days * DAY), end: iso(end) };
}

/** Columns a chart has room for on a phone. */
export const MAX_PARTS = 10;

/** The same days in equal parts of whole days, at most `MAX_PARTS` of them; the first may be shorter. */
export function partsOf({ start, end }: Days): Days[] {
  const [from, to] = [Date.parse(start), Date.parse(end)];
  const length = Math.ceil((to - from) / DAY / MAX_PARTS) * DAY;
  const parts: Days[] = [];
  for (let until = to; until > from; until -= length) parts.unshift({ start: iso(Math.max(from, until - length)), end: iso(until) });
  return parts;
}

/** "Nov 21", or "Nov 19 – 21" for several days. */
export function dayLabel({ start, end }: Days): string {
  const last = iso(Date.parse(end) - DAY);
  if (last === start) return day(start);
  const isSameMonth = start.slice(0, 7) === last.slice(0, 7);
  return `${day(start)} – ${isSameMonth ? String(new Date(last).getUTCDate()) : day(last)}`;
}

function day(at: string): string {
  return new Date(at).toLocaleDateString("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
}

/** "in 3 h", "in 10 days"; "now" for what is over. */
export function untilText(at: string, now: number): string {
  const left = Date.parse(at) - now;
  if (!(left > 0)) return "now";
  if (left < 3_600_000) return `in ${String(Math.ceil(left / 60_000))} min`;
  if (left < 2 * DAY) return `in ${String(Math.round(left / 3_600_000))} h`;
  return `in ${String(Math.round(left / DAY))} days`;
}

const iso = (ms: number) => new Date(ms).toISOString().replace(".000Z", "Z");

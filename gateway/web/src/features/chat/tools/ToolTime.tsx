import { useNow } from "@/components/useNow.ts";
import { num, open } from "@/lib/open.ts";
import { clock, duration } from "@/lib/time.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { useClockOffset } from "../clockOffset.ts";
import { isNever } from "./trouble.ts";

/** Shorter than this, a duration says nothing. */
const WORTH_SAYING_MS = 100;

/** A running clock while the tool works, its duration afterwards. */
export function ToolTime({ row }: { row: ToolRow }) {
  const active = row.state === "running" || row.state === "writing";
  const now = useNow(1_000, active) + useClockOffset();
  const text = active ? runningFor(row, now) : took(row);
  return text === "" ? null : <span className="shrink-0 text-xs text-faint tabular-nums">{text}</span>;
}

function runningFor(row: ToolRow, now: number): string {
  const started = Date.parse(row.startedAt);
  return Number.isNaN(started) || now - started < 1_000 ? "" : clock(now - started);
}

function took(row: ToolRow): string {
  if (isNever(row)) return "";
  const measured = num(open(row.result)["wall_duration_ms"]);
  const ms = measured ?? (row.endedAt === null ? Number.NaN : Date.parse(row.endedAt) - Date.parse(row.startedAt));
  return Number.isNaN(ms) || ms < WORTH_SAYING_MS ? "" : duration(ms);
}

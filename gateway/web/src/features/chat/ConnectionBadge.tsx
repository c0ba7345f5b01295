import { useNow } from "@/components/useNow.ts";
import { classes } from "@/lib/classes.ts";
import { clock } from "@/lib/time.ts";
import type { Connection } from "@/stream/socket.ts";

/** Shorter interruptions than this are not worth a word. */
const QUIET_MS = 1_500;
/** So that the last second of a wait is shown for a second. */
const TICK_MS = 500;

interface ConnectionBadgeProps {
  connection: Connection;
  /** Since when nothing can come through an open connection; `null` when it can. */
  upstreamLostAt: number | null;
  onRetry: () => void;
}

/** Whether what is on the page is alive, and if not: how old it is, and when the next attempt is made. */
export function ConnectionBadge({ connection, upstreamLostAt, onRetry }: ConnectionBadgeProps) {
  const lost = connection.phase === "reconnecting" || connection.phase === "offline";
  const now = useNow(TICK_MS, lost || upstreamLostAt !== null);
  const age = lost ? now - connection.since : 0;
  if (!lost && upstreamLostAt !== null && now - upstreamLostAt >= QUIET_MS) return <CutOff age={now - upstreamLostAt} />;
  if (!lost || age < QUIET_MS) {
    const live = connection.phase === "live" || lost;
    const label = live ? "Live" : connection.phase === "connecting" ? "Connecting" : "Not connected";
    return (
      <span role="status" title={label} className="inline-flex shrink-0 items-center gap-1.5 text-xs text-faint">
        <span className={classes("size-2 rounded-full", live ? "bg-ok" : "bg-faint pulse")} aria-hidden />
        <span className="max-sm:sr-only">{label}</span>
      </span>
    );
  }
  const isWaiting = connection.phase === "reconnecting" && connection.retryAt > now;
  return (
    <span className="inline-flex shrink-0 items-center gap-1.5 text-xs text-warn">
      <span className={classes("size-2 rounded-full bg-warn", connection.phase === "reconnecting" && "pulse")} aria-hidden />
      <span role="status">{connection.phase === "offline" ? "Offline" : "Reconnecting"}</span>
      {/* Read out once, not once per second. */}
      <span aria-hidden className="whitespace-nowrap tabular-nums" title="Nothing newer than this is on the page">
        {isWaiting ? `in ${String(Math.ceil((connection.retryAt - now) / 1_000))} s` : connection.phase === "offline" ? "" : "now"}
        <span className="max-sm:hidden"> · lost {clock(age)} ago</span>
      </span>
      <button type="button" className="-my-2 rounded-md px-1.5 py-0.5 font-medium whitespace-nowrap underline underline-offset-2 hover:bg-hover touch:min-h-11" onClick={onRetry}>
        Try now
      </button>
    </span>
  );
}

/** The server answers, but what runs agents behind it does not. */
function CutOff({ age }: { age: number }) {
  return (
    <span className="inline-flex shrink-0 items-center gap-1.5 text-xs text-warn" title="The server cannot reach what runs the agents. Everything is kept, and goes on by itself.">
      <span className="size-2 rounded-full bg-warn pulse" aria-hidden />
      <span role="status">Not live</span>
      <span aria-hidden className="whitespace-nowrap tabular-nums max-sm:hidden">
        · agents out of reach for {clock(age)}
      </span>
    </span>
  );
}

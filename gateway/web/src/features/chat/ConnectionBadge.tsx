import { useNow } from "@/components/useNow.ts";
import { classes } from "@/lib/classes.ts";
import { clock } from "@/lib/time.ts";
import type { Connection } from "@/stream/socket.ts";

/** Shorter interruptions than this are not worth a word. */
const QUIET_MS = 1_500;

/** Whether what is on the page is alive, and if not, how old it is. */
export function ConnectionBadge({ connection, onRetry }: { connection: Connection; onRetry: () => void }) {
  const lost = connection.phase === "reconnecting" || connection.phase === "offline";
  const now = useNow(1_000, lost);
  const age = lost ? now - connection.since : 0;
  if (!lost || age < QUIET_MS) {
    const live = connection.phase === "live" || lost;
    const label = live ? "Live" : connection.phase === "connecting" ? "Connecting" : "Not connected";
    return (
      <span role="status" title={label} className="inline-flex items-center gap-1.5 text-xs text-faint">
        <span className={classes("size-2 rounded-full", live ? "bg-ok" : "bg-faint pulse")} aria-hidden />
        <span className="max-sm:sr-only">{label}</span>
      </span>
    );
  }
  const name = connection.phase === "offline" ? "Offline" : "Reconnecting";
  return (
    <span className="inline-flex items-center gap-1.5 text-xs text-warn">
      <span className={classes("size-2 rounded-full bg-warn", connection.phase === "reconnecting" && "pulse")} aria-hidden />
      <span role="status">{name}</span>
      <span className="tabular-nums" title="Nothing newer than this is on the page">
        {clock(age)}
      </span>
      <button type="button" className="rounded-md px-1.5 py-0.5 font-medium underline underline-offset-2 hover:bg-hover" onClick={onRetry}>
        Try now
      </button>
    </span>
  );
}

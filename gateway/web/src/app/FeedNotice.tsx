import { WifiOff } from "lucide-react";
import { useNow } from "@/components/useNow.ts";
import { clock } from "@/lib/time.ts";
import type { Connection } from "@/stream/socket.ts";

const QUIET_MS = 3_000;

/** Says so when the list is not live; says nothing while it is. */
export function FeedNotice({ connection }: { connection: Connection }) {
  const lost = connection.phase === "reconnecting" || connection.phase === "offline";
  const now = useNow(1_000, lost);
  if (!lost || now - connection.since < QUIET_MS) return null;
  return (
    <p role="status" className="mx-3 mb-1 flex items-center gap-2 rounded-md bg-warn-soft px-2.5 py-1.5 text-xs text-warn">
      <WifiOff size={13} aria-hidden /> {connection.phase === "offline" ? "Offline" : "Reconnecting"} · as of {clock(now - connection.since)} ago
    </p>
  );
}

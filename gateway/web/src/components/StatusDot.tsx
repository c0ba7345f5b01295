import type { ChatStatus } from "@/api/types.ts";
import { classes } from "@/lib/classes.ts";

const LOOKS: Record<ChatStatus, { name: string; look: string }> = {
  waiting: { name: "Idle", look: "hidden" },
  pending: { name: "Starting", look: "bg-accent pulse" },
  running: { name: "Working", look: "bg-accent pulse" },
  requires_action: { name: "Waiting for you", look: "bg-warn" },
  error: { name: "Failed", look: "bg-danger" },
};

/** What a chat is doing, as a dot with a name. An idle chat that has news shows a still dot; otherwise none. */
export function StatusDot({ status, unread }: { status: ChatStatus; unread: boolean }) {
  const { name, look } = LOOKS[status];
  if (status === "waiting") {
    return unread ? <span role="img" aria-label="Unread" className="size-2 shrink-0 rounded-full bg-accent" /> : null;
  }
  return <span role="img" aria-label={name} title={name} className={classes("size-2 shrink-0 rounded-full", look)} />;
}

import { useState } from "react";
import { useSettled } from "@/components/useSettled.ts";
import { sentence } from "@/lib/approvals.ts";
import type { Connection } from "@/stream/socket.ts";
import type { Row } from "@/stream/timeline.ts";
import { type ChatView, isBusy } from "@/stream/view.ts";
import { compactionOf, COMPACTION_TOOL } from "./compacted.ts";
import { explainFailure } from "./failure.ts";
import { doing } from "./status/doing.ts";
import { activity } from "./tools/summary.ts";

/** What lasts shorter than this is not worth interrupting a listener for. */
const SETTLE_MS = 1_200;

interface AnnouncerProps {
  view: ChatView;
  rows: readonly Row[];
  connection: Connection;
  /** The connection is open, but nothing can come through it. */
  isCutOff: boolean;
}

/** What a screen reader hears: what the agent is doing, why it does nothing, and its finished answer. Never every token. */
export function Announcer({ view, rows, connection, isCutOff }: AnnouncerProps) {
  const [wasBusy, setWasBusy] = useState(false);
  if (!wasBusy && isBusy(view.status)) setWasBusy(true);
  // A chat that was at rest when it was opened has nothing to announce.
  const now = useSettled(wasBusy || view.status === "error" || view.status === "requires_action" ? statusText(view, rows) : "", SETTLE_MS);
  const lost = connection.phase === "reconnecting" || connection.phase === "offline";
  const connectionText = useSettled(lost ? "The connection is lost. Nothing newer is shown until it is back." : isCutOff ? "The server cannot reach its agents. Nothing newer is shown until it can." : "", SETTLE_MS);
  return (
    <>
      <div aria-live="polite" className="sr-only">
        {now}
      </div>
      <div aria-live="polite" className="sr-only">
        {connectionText}
      </div>
    </>
  );
}

function waitText(view: ChatView, rows: readonly Row[]): string {
  const waiting = rows.filter((row) => row.kind === "tool" && row.state === "awaiting");
  const [first] = waiting;
  if (first?.kind !== "tool") return view.pendingCalls.length === 0 ? "" : "The agent waits for an answer from outside.";
  if (waiting.length > 1) return `${String(waiting.length)} calls wait for your approval.`;
  return `A call waits for your approval: ${activity(first)}. ${sentence(first.approval?.reason ?? "")}`;
}

export function statusText(view: ChatView, rows: readonly Row[]): string {
  if (view.status === "error") return view.error ? `The turn failed: ${explainFailure(view.error).title}.` : "The turn failed.";
  if (view.status === "requires_action") return waitText(view, rows);
  if (isBusy(view.status)) {
    if (view.retry !== null) return `${view.retry.error} Attempt ${String(view.retry.attempt + 1)} follows.`;
    return `${doing(view, rows)}.`;
  }
  const last = rows.at(-1);
  if (last?.kind === "tool" && last.name === COMPACTION_TOOL) return `${compactionOf(last).title}.`;
  const answer = rows.findLast((row) => row.kind === "text");
  return answer?.kind === "text" ? `The agent is done. ${answer.text}` : "The agent is done.";
}

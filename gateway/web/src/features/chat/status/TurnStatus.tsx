import { CircleStop } from "lucide-react";
import { Notice } from "@/components/Notice.tsx";
import { useNow } from "@/components/useNow.ts";
import { clock } from "@/lib/time.ts";
import type { Row } from "@/stream/timeline.ts";
import { type ChatView, isBusy } from "@/stream/view.ts";
import { useClockOffset } from "../clockOffset.ts";
import { COMPACTION_TOOL } from "../compacted.ts";
import { doing } from "./doing.ts";
import { FailurePanel } from "./FailurePanel.tsx";
import { RetryCountdown } from "./RetryCountdown.tsx";

interface TurnStatusProps {
  chatId: string;
  view: ChatView;
  rows: readonly Row[];
  /** The turn under way only summarizes, as the reader has asked. */
  isCompacting: boolean;
  /** The reader has asked the turn to end, and it has not yet. */
  stopping: boolean;
  /** The reader has ended the last turn from this page. */
  wasStopped: boolean;
  onRetry: () => Promise<void>;
  onStop: () => void;
}

/** The end of the conversation: what the agent does now, or why it does nothing. */
export function TurnStatus({ chatId, view, rows, isCompacting, stopping, wasStopped, onRetry, onStop }: TurnStatusProps) {
  if (view.status === "error") {
    return <FailurePanel chatId={chatId} error={view.error ?? { message: "The turn failed.", retryable: false }} waiting={view.queue.length} onRetry={onRetry} />;
  }
  if (view.retry !== null && isBusy(view.status)) return <RetryCountdown retry={view.retry} stopping={stopping} onStop={onStop} />;
  if (view.status === "requires_action") return <NeedsAction view={view} />;
  // A compaction says for itself that it is under way.
  if (isBusy(view.status) && showsCompaction(rows.at(-1)) && !stopping) return null;
  if (isBusy(view.status)) return <Working view={view} what={stopping ? "Stopping" : isCompacting ? "Summarizing the conversation" : doing(view, rows)} />;
  return wasStopped ? <Stopped /> : null;
}

function Working({ view, what }: { view: ChatView; what: string }) {
  const now = useNow(1_000) + useClockOffset();
  const asked = view.messages.findLast((message) => message.role === "user");
  const elapsed = asked ? now - Date.parse(asked.created_at) : 0;
  return (
    <p className="flex items-center gap-2 text-sm text-faint">
      <span className="size-2 shrink-0 rounded-full bg-accent pulse" aria-hidden />
      <span className="truncate">{what}</span>
      {elapsed >= 2_000 ? <span className="shrink-0 tabular-nums">{clock(elapsed)}</span> : null}
    </p>
  );
}

function showsCompaction(row: Row | undefined): boolean {
  return row?.kind === "tool" && row.name === COMPACTION_TOOL && (row.state === "running" || row.state === "writing");
}

function Stopped() {
  return (
    <p className="flex items-center gap-2 text-sm text-faint">
      <CircleStop size={15} className="shrink-0" aria-hidden /> You stopped the agent here. What it had written is kept.
    </p>
  );
}

function NeedsAction({ view }: { view: ChatView }) {
  const names = view.pendingCalls.map((call) => call.tool_name).join(", ");
  return (
    <Notice tone="warn" title="Waiting for a tool outside of Tandem">
      {names ? `The program that started this chat must answer: ${names}.` : "The program that started this chat must answer."} Stop ends the wait.
    </Notice>
  );
}

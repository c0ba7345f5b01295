import { CircleStop } from "lucide-react";
import { lazy, Suspense } from "react";
import { Notice } from "@/components/Notice.tsx";
import { useNow } from "@/components/useNow.ts";
import { loadLater } from "@/lib/loadLater.ts";
import { clock } from "@/lib/time.ts";
import type { Row } from "@/stream/timeline.ts";
import { type ChatView, isBusy } from "@/stream/view.ts";
import { isWaiting } from "../approvals/approvals.ts";
import { useClockOffset } from "../clockOffset.ts";
import { COMPACTION_TOOL } from "../compacted.ts";
import { doing } from "./doing.ts";
import { FailurePanel } from "./FailurePanel.tsx";
import { RetryCountdown } from "./RetryCountdown.tsx";
import type { TurnEnd } from "./stopped.ts";
import { isAsked } from "@/lib/speech.ts";

const ApprovalBar = lazy(loadLater(() => import("../approvals/ApprovalBar.tsx").then((module) => ({ default: module.ApprovalBar }))));

/** A flow of text that stands still for longer than this is worth a word: the page must not look livelier than it is. */
const SILENCE_MS = 5_000;

interface TurnStatusProps {
  chatId: string;
  view: ChatView;
  rows: readonly Row[];
  /** The turn under way only summarizes, as the reader has asked. */
  isCompacting: boolean;
  /** The reader has asked the turn to end, and it has not yet. */
  stopping: boolean;
  /** How the last turn ended. */
  end: TurnEnd;
  /** When the stream last brought anything, by this device's clock; 0 when it has not. */
  newsAt: number;
  onRetry: () => Promise<void>;
  onStop: () => void;
}

/** The end of the conversation: what the agent does now, or why it does nothing. */
export function TurnStatus({ chatId, view, rows, isCompacting, stopping, end, newsAt, onRetry, onStop }: TurnStatusProps) {
  if (view.status === "error") {
    return <FailurePanel chatId={chatId} error={view.error ?? { message: "The turn failed.", retryable: false }} waiting={view.queue.length} onRetry={onRetry} />;
  }
  if (view.retry !== null && isBusy(view.status)) return <RetryCountdown retry={view.retry} stopping={stopping} onStop={onStop} />;
  if (view.status === "requires_action") return <NeedsAction view={view} />;
  // A compaction says for itself that it is under way.
  if (isBusy(view.status) && showsCompaction(rows.at(-1)) && !stopping) return null;
  if (isBusy(view.status)) return <Working view={view} what={stopping ? "Stopping" : isCompacting ? "Summarizing the conversation" : doing(view, rows)} flowsSince={flows(rows.at(-1)) && !stopping ? newsAt : 0} />;
  return end === "cut" || end === "unanswered" ? <Stopped hasAnswer={end === "cut"} /> : null;
}

/** Text that is being written or thought comes all the time; a tool may be silent for as long as it likes. */
const flows = (row: Row | undefined) => (row?.kind === "text" || row?.kind === "reasoning") && row.isLive;

interface WorkingProps {
  view: ChatView;
  what: string;
  /** When the flow last moved; 0 when nothing is meant to flow. */
  flowsSince: number;
}

function Working({ view, what, flowsSince }: WorkingProps) {
  const here = useNow(1_000);
  const now = here + useClockOffset();
  const silence = flowsSince === 0 ? 0 : here - flowsSince;
  const asked = view.messages.findLast(isAsked);
  const elapsed = asked ? now - Date.parse(asked.created_at) : 0;
  return (
    <p className="flex items-center gap-2 text-sm text-faint">
      <span className="size-2 shrink-0 rounded-full bg-accent pulse" aria-hidden />
      <span className="truncate">{what}</span>
      {elapsed >= 2_000 ? <span className="shrink-0 tabular-nums">{clock(elapsed)}</span> : null}
      {silence >= SILENCE_MS ? <span className="shrink-0 text-warn tabular-nums">nothing new for {clock(silence)}</span> : null}
    </p>
  );
}

function showsCompaction(row: Row | undefined): boolean {
  return row?.kind === "tool" && row.name === COMPACTION_TOOL && (row.state === "running" || row.state === "writing");
}

function Stopped({ hasAnswer }: { hasAnswer: boolean }) {
  return (
    <p className="flex items-start gap-2 text-sm text-faint">
      <CircleStop size={15} className="mt-[2.5px] shrink-0" aria-hidden />
      {hasAnswer ? "You stopped the agent here. What it had done is kept." : "You stopped the agent before it answered."}
    </p>
  );
}

/** Either a person is asked, or a program, or both. */
function NeedsAction({ view }: { view: ChatView }) {
  const outside = view.pendingCalls.filter((call) => !isWaiting(call));
  return (
    <div className="space-y-3">
      {view.pendingCalls.some(isWaiting) ? (
        <Suspense>
          <ApprovalBar />
        </Suspense>
      ) : null}
      {outside.length > 0 ? (
        <Notice tone="warn" title="Waiting for a tool outside of Tandem">
          The program that started this chat must answer: {outside.map((call) => call.tool_name).join(", ")}. Stop ends the wait.
        </Notice>
      ) : null}
      {view.pendingCalls.length === 0 ? <p className="text-sm text-faint">Waiting for an answer</p> : null}
    </div>
  );
}

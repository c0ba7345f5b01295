import { RotateCw, Settings } from "lucide-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "@/components/Button.tsx";
import { CopyButton } from "@/components/CopyButton.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useNow } from "@/components/useNow.ts";
import { clock } from "@/lib/time.ts";
import type { Row } from "@/stream/timeline.ts";
import { type ChatView, isBusy } from "@/stream/view.ts";
import { useClockOffset } from "./clockOffset.ts";
import { explainFailure, providerName } from "./failure.ts";
import { activity } from "./tools/summary.ts";

interface TurnStatusProps {
  view: ChatView;
  rows: readonly Row[];
  onRetry: () => Promise<void>;
  onStop: () => void;
}

/** The end of the conversation: what the agent does now, or why it does nothing. */
export function TurnStatus({ view, rows, onRetry, onStop }: TurnStatusProps) {
  if (view.status === "error") return <FailurePanel view={view} onRetry={onRetry} />;
  if (view.retry !== null && isBusy(view.status)) return <RetryCountdown view={view} onStop={onStop} />;
  if (view.status === "requires_action") return <NeedsAction view={view} />;
  return isBusy(view.status) ? <Working view={view} rows={rows} /> : null;
}

function Working({ view, rows }: { view: ChatView; rows: readonly Row[] }) {
  const now = useNow(1_000) + useClockOffset();
  const asked = view.messages.findLast((message) => message.role === "user");
  const elapsed = asked ? now - Date.parse(asked.created_at) : 0;
  return (
    <p className="flex items-center gap-2 text-sm text-faint">
      <span className="size-2 shrink-0 rounded-full bg-accent pulse" aria-hidden />
      <span className="truncate">{doing(view, rows)}</span>
      {elapsed >= 2_000 ? <span className="shrink-0 tabular-nums">{clock(elapsed)}</span> : null}
    </p>
  );
}

function doing(view: ChatView, rows: readonly Row[]): string {
  if (view.status === "pending") return "Starting";
  const running = rows.filter((row) => row.kind === "tool" && (row.state === "running" || row.state === "writing"));
  const last = running.at(-1) ?? rows.at(-1);
  if (running.length > 1) return `Running ${String(running.length)} tools`;
  if (last?.kind === "tool" && running.length === 1) return activity(last);
  if (last?.kind === "reasoning" && last.isLive) return "Thinking";
  if (last?.kind === "text" && last.isLive) return "Writing";
  return "Working";
}

function RetryCountdown({ view, onStop }: { view: ChatView; onStop: () => void }) {
  const now = useNow(500) + useClockOffset();
  const { retry } = view;
  if (retry === null) return null;
  const left = Math.max(0, Math.ceil((Date.parse(retry.retrying_at) - now) / 1_000));
  return (
    <Notice tone="warn" title={`${providerName(retry.provider)} could not answer: attempt ${String(retry.attempt + 1)} ${left > 0 ? `in ${String(left)} s` : "now"}`} actions={<Button onClick={onStop}>Cancel</Button>}>
      {retry.error}
    </Notice>
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

function FailurePanel({ view, onRetry }: { view: ChatView; onRetry: () => Promise<void> }) {
  const [busy, setBusy] = useState(false);
  const error = view.error ?? { message: "The turn failed.", retryable: false };
  const { title, next, canRetry, inSettings } = explainFailure(error);
  const detail = [error.message, error.detail, error.status_code ? `(status ${String(error.status_code)})` : ""].filter(Boolean).join(" ");
  const retry = async () => {
    setBusy(true);
    await onRetry().finally(() => setBusy(false));
  };
  return (
    <Notice
      tone="danger"
      title={title}
      actions={
        <>
          {canRetry ? (
            <Button busy={busy} onClick={() => void retry()}>
              {busy ? null : <RotateCw size={14} />} Try again
            </Button>
          ) : null}
          {inSettings ? (
            <Link to="/settings/models" className="inline-flex h-9 items-center gap-2 rounded-md border border-line bg-raised px-3.5 text-sm font-medium text-ink hover:bg-hover max-sm:h-11">
              <Settings size={14} /> Model settings
            </Link>
          ) : null}
        </>
      }
    >
      <p>{next}</p>
      <div className="mt-2 flex items-start gap-1 rounded-md bg-canvas/60 py-1 pr-1 pl-2.5">
        <code className="min-w-0 flex-1 py-1 font-mono text-xs wrap-anywhere">{detail}</code>
        <CopyButton text={detail} label="Copy details" />
      </div>
    </Notice>
  );
}

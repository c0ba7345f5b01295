import { Link } from "@tanstack/react-router";
import { Gauge, KeyRound, RotateCw, Settings } from "lucide-react";
import { useState } from "react";
import type { ChatError } from "@/api/types.ts";
import { Button, buttonClasses } from "@/components/Button.tsx";
import { CopyButton } from "@/components/CopyButton.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useTakesOwnKeys } from "@/data/providers.ts";
import { explainFailure, failureFacts, failureReport } from "../failure.ts";

interface FailurePanelProps {
  chatId: string;
  error: ChatError;
  /** Messages that wait until the turn goes on. */
  waiting: number;
  onRetry: () => Promise<void>;
}

/** Why the turn failed: whose fault it is, what to do, and the facts for whoever wants them. */
export function FailurePanel({ chatId, error, waiting, onRetry }: FailurePanelProps) {
  const [busy, setBusy] = useState(false);
  const { title, next, canRetry, inSettings, inUsage } = explainFailure(error);
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
              {busy ? null : <RotateCw size={14} aria-hidden />} Retry
            </Button>
          ) : null}
          {error.kind === "missing_key" || error.kind === "auth" ? <OwnKeysLink /> : null}
          {inSettings ? (
            <Link to="/settings/models" className={buttonClasses("secondary")}>
              <Settings size={14} aria-hidden /> Model settings
            </Link>
          ) : null}
          {inUsage ? (
            <Link to="/settings/usage" className={buttonClasses("secondary")}>
              <Gauge size={14} aria-hidden /> See your usage
            </Link>
          ) : null}
        </>
      }
    >
      <p>
        {next}
        {waiting > 0 ? ` ${waiting === 1 ? "The waiting message is" : `${String(waiting)} waiting messages are`} held back until then.` : ""}
      </p>
      <div className="mt-2.5 rounded-md bg-canvas/60">
        <div className="flex items-start gap-1 py-1 pr-1 pl-3">
          <p className="min-w-0 flex-1 py-1 font-mono text-xs whitespace-pre-line text-ink wrap-anywhere">{[error.message, error.detail].filter(Boolean).join("\n")}</p>
          <CopyButton text={failureReport(error, chatId)} label="Copy details" />
        </div>
        <dl className="flex flex-wrap gap-x-4 gap-y-1 border-t border-danger-line/60 px-3 py-1.5 text-xs">
          {failureFacts(error).map(([name, value]) => (
            <div key={name} className="flex gap-1.5">
              <dt>{name}</dt>
              <dd className="font-medium text-ink">{value}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Notice>
  );
}

/** The key may be the reader's own to bring. */
function OwnKeysLink() {
  if (!useTakesOwnKeys()) return null;
  return (
    <Link to="/settings/keys" className={buttonClasses("secondary")}>
      <KeyRound size={14} aria-hidden /> My keys
    </Link>
  );
}

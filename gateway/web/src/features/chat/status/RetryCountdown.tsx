import type { ChatRetry } from "@/api/types.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useNow } from "@/components/useNow.ts";
import { useClockOffset } from "../clockOffset.ts";
import { explainFailure } from "../failure.ts";
import { retryProgress } from "./retryProgress.ts";

const TICK_MS = 250;

/** The provider could not answer and is asked again by itself: which attempt, and when. It looks the same after a reload. */
export function RetryCountdown({ retry, stopping, onStop }: { retry: ChatRetry; stopping: boolean; onStop: () => void }) {
  const now = useNow(TICK_MS) + useClockOffset();
  const { title } = explainFailure({ message: retry.error, retryable: true, ...(retry.kind && { kind: retry.kind }), ...(retry.provider && { provider: retry.provider }) });
  const { attempt, secondsLeft, share } = retryProgress(retry, now);
  return (
    <Notice
      tone="warn"
      title={title}
      actions={
        <Button busy={stopping} onClick={onStop}>
          Stop trying
        </Button>
      }
    >
      <p>
        {retry.error}
        {retry.status_code ? ` (status ${String(retry.status_code)})` : ""}
      </p>
      <p className="mt-1.5 flex flex-wrap items-baseline gap-x-2 text-ink">
        <span className="font-medium">Attempt {attempt}</span>
        {/* Read out once per attempt, not once per second. */}
        <span aria-hidden className="tabular-nums">
          {secondsLeft > 0 ? `in ${String(secondsLeft)} s` : "is under way"}
        </span>
      </p>
      <div aria-hidden className="mt-2 h-1 max-w-80 overflow-hidden rounded-full bg-warn-line">
        <div className="h-full origin-left bg-warn transition-transform duration-200 ease-linear" style={{ transform: `scaleX(${String(share)})` }} />
      </div>
    </Notice>
  );
}

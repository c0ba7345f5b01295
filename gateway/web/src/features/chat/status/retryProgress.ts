// How far the wait before the next attempt is. Pure.
import type { ChatRetry } from "@/api/types.ts";

export interface RetryProgress {
  /** The attempt that comes next; the first one of all is 1. */
  attempt: number;
  secondsLeft: number;
  /** The part of the wait that is over, 0 to 1. */
  share: number;
}

/** `now` is the server's clock. The server counts the attempts that failed. */
export function retryProgress(retry: ChatRetry, now: number): RetryProgress {
  const left = Math.max(0, Date.parse(retry.retrying_at) - now) || 0;
  const share = retry.delay_ms > 0 ? 1 - Math.min(1, left / retry.delay_ms) : 1;
  return { attempt: retry.attempt + 1, secondsLeft: Math.ceil(left / 1_000), share };
}

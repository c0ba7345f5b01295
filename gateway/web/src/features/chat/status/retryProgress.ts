// How far the wait before the next attempt is. Pure.
import type { ChatRetry } from "@/api/types.ts";

export interface RetryProgress {
  /** The attempt that comes next; the first one of all is 1. */
  attempt: number;
  secondsLeft: number;
  /** The part of the wait that is over, 0 to 1. */
  share: number;
}

/**
 * `now` is the server's clock, as far as this device knows it. Whatever it says, no wait is longer than the server announced it.
 * The server counts the attempts that failed.
 */
export function retryProgress(retry: ChatRetry, now: number): RetryProgress {
  const wait = Math.max(0, retry.delay_ms) || 0;
  const left = Math.min(wait, Math.max(0, Date.parse(retry.retrying_at) - now)) || 0;
  const share = wait > 0 ? 1 - left / wait : 1;
  return { attempt: retry.attempt + 1, secondsLeft: Math.ceil(left / 1_000), share };
}

// How long to wait before connecting again. One policy for every socket of the UI.

export const FIRST_DELAY_MS = 500;
export const MAX_DELAY_MS = 15_000;

/** `attempt` counts from 0; `random` is uniform in [0, 1). Half the delay is fixed, half is jitter, so a crowd spreads out. */
export function retryDelay(attempt: number, random: number): number {
  const ceiling = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

// Waiting on conditions. Tests never wait for time to pass; the limit only ends what will never come true.

/** For anything the system does by itself, on a busy machine. */
export const LIMIT_MS = 60_000;
const LOOK_INTERVAL_MS = 25;

/** Looks until `condition` gives something truthy, and returns that. What it throws ends the wait. */
export async function until(what, condition, limit = LIMIT_MS) {
  const deadline = Date.now() + limit;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
  }
}

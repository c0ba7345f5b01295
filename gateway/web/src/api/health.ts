// Whether the services behind the server can work, as its readiness page tells. No sign-in is needed for it.

/** An answer that takes longer tells nothing. */
const DEADLINE_MS = 4_000;
/** Without these nothing new can reach a reader; the others are missed only by turns. */
const NEEDED = new Set(["orchestrator", "storage"]);

/** `true`: a chat's events cannot come now. `false`: they can. `null`: nobody knows. */
export async function isUpstreamLost(): Promise<boolean | null> {
  try {
    const answer = await fetch("/readyz", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(DEADLINE_MS) });
    return readReport(await answer.json());
  } catch {
    return null;
  }
}

/** Reads `{is_ready, components: {name: {is_serving, failing: {check: reason}}}}`. */
export function readReport(report: unknown): boolean | null {
  const { is_ready: isReady, components } = asObject(report);
  if (typeof isReady !== "boolean") return null;
  if (isReady) return false;
  return Object.entries(asObject(components)).some(
    ([name, component]) => (NEEDED.has(name) && asObject(component)["is_serving"] === false) || Object.keys(asObject(asObject(component)["failing"])).some((check) => NEEDED.has(check)),
  );
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

// How a provider does, in words: from the state of its keys, its breakers and its queue. Pure.
import type { BreakerHealth, KeyHealth, ProviderHealth } from "@/api/providerHealth.ts";
import { ago, exactTime } from "./time.ts";

export type Level = "healthy" | "degraded" | "failing";

export interface Summary {
  level: Level;
  /** "Healthy", "Degraded" or "Failing". */
  word: string;
  /** Why, or how busy it is; may be empty. */
  reason: string;
}

const WORDS: Record<Level, string> = { healthy: "Healthy", degraded: "Degraded", failing: "Failing" };
const DAY = 86_400_000;

/** `models`: the names of its models that can be chosen. */
export function summarize(health: ProviderHealth, models: readonly string[], now: number): Summary {
  const unwell = health.keys.filter(isUnwell);
  const open = health.breakers.filter(({ state }) => state === "open");
  const probed = health.breakers.filter(({ state }) => state === "half_open");
  const noKey = health.keys.length > 0 && unwell.length === health.keys.length;
  const noModel = models.length > 0 && models.every((model) => open.some((breaker) => breaker.model === model));
  const level: Level = noKey || noModel ? "failing" : unwell.length + open.length + probed.length > 0 ? "degraded" : "healthy";
  const reasons = [keysText(health.keys, unwell, now), breakersText(open, "is paused", "are paused"), breakersText(probed, "is being tried again", "are being tried again"), loadText(health)];
  return { level, word: WORDS[level], reason: reasons.filter(Boolean).join(" · ") };
}

const isUnwell = ({ state }: KeyHealth) => state !== "healthy";

function keysText(all: readonly KeyHealth[], unwell: readonly KeyHealth[], now: number): string {
  const [first] = unwell;
  if (first === undefined) return "";
  if (all.length === 1) return `its only key ${first.state === "limited" ? "is limited" : first.state === "refused" ? "is refused" : "cannot be read"}`;
  const resting = unwell.filter(({ resting_until }) => resting_until !== null);
  const verb = unwell.every(({ state }) => state === "unreadable") ? "cannot be read" : resting.length === unwell.length ? (unwell.length === 1 ? "rests" : "rest") : unwell.length === 1 ? "does not work" : "do not work";
  const soonest = resting.map(({ resting_until }) => resting_until ?? "").toSorted()[0];
  const until = unwell.length === all.length && soonest ? `, the first until ${clockTime(soonest, now)}` : "";
  const which = unwell.length === all.length ? `all ${String(all.length)} keys` : `${String(unwell.length)} of ${String(all.length)} keys`;
  return `${which} ${verb}${until}`;
}

function breakersText(breakers: readonly BreakerHealth[], one: string, many: string): string {
  const [first] = breakers;
  if (first === undefined) return "";
  return breakers.length === 1 ? `${first.model} ${one}` : `${String(breakers.length)} models ${many}`;
}

/** "8 of 8 running, 2 waiting"; empty when nothing is under way. */
export function loadText({ running, max_running, queued }: Pick<ProviderHealth, "running" | "max_running" | "queued">): string {
  if (running === 0 && queued === 0) return "";
  const most = max_running > 0 ? ` of ${String(max_running)}` : "";
  return `${String(running)}${most} running${queued > 0 ? `, ${String(queued)} waiting` : ""}`;
}

export interface KeyText {
  level: Level;
  /** How it does now. */
  text: string;
  /** What the vendor said last; empty when there is nothing to tell. */
  error: string;
}

export function keyText(key: KeyHealth, now: number): KeyText {
  const said = plainly(key.last_error);
  if (key.state === "unreadable") return { level: "failing", text: "cannot be read: it was stored under another key-encryption key", error: "" };
  if (key.state === "healthy") {
    const when = key.last_error_at ? whenText(key.last_error_at, now) : "";
    return { level: "healthy", text: "healthy", error: said === "" ? "" : `Last trouble${when}: ${said}` };
  }
  const rests = key.resting_until ? `rests until ${clockTime(key.resting_until, now)}` : "";
  if (key.state === "limited") return { level: "degraded", text: [rests, "its rate is limited by the vendor"].filter(Boolean).join(": "), error: said };
  return { level: "failing", text: [rests, `refused by the vendor${said === "" ? "" : `: ${said}`}`].filter(Boolean).join(", "), error: "" };
}

const MAX_DEPTH = 3;

/** What a vendor said within a body of JSON, with what stands before it; anything else as it is. */
export function plainly(said: string): string {
  const start = said.indexOf("{");
  if (start < 0) return said;
  try {
    const words = wordsIn(JSON.parse(said.slice(start)), MAX_DEPTH);
    return words === "" ? said : `${said.slice(0, start)}${words}`;
  } catch {
    return said;
  }
}

function wordsIn(value: unknown, depth: number): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || depth === 0) return "";
  const { error, message } = value as Record<string, unknown>;
  return wordsIn(message, depth - 1) || wordsIn(error, depth - 1);
}

function whenText(iso: string, now: number): string {
  const age = ago(iso, now);
  return age === "" ? "" : age === "now" ? " just now" : ` ${age} ago`;
}

/** How a breaker stands, as a sentence without its model. */
export function breakerText(breaker: BreakerHealth, now: number): string {
  const why = [breaker.failures > 0 ? (breaker.failures === 1 ? "1 failure" : `${String(breaker.failures)} failures in a row`) : "", breaker.last_failure].filter(Boolean).join(", ");
  const because = why === "" ? "" : ` (${why})`;
  if (breaker.state === "open") return `paused${breaker.retry_at ? `, tried again at ${clockTime(breaker.retry_at, now)}` : ""}${because}`;
  if (breaker.state === "half_open") return `being tried again with one request${because}`;
  return `answering again${because}`;
}

/** "2:05:30 PM"; with its date when that is another day. */
export function clockTime(iso: string, now: number): string {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return "";
  return Math.abs(at - now) < DAY ? new Date(at).toLocaleTimeString(undefined, { timeStyle: "medium" }) : exactTime(iso);
}

import { describe, expect, it } from "vitest";
import type { BreakerHealth, KeyHealth, ProviderHealth } from "@/api/providerHealth.ts";
import { breakerText, clockTime, keyText, loadText, plainly, summarize } from "./providerHealth.ts";

const NOW = Date.parse("2026-11-21T10:00:00Z");
const SOON = "2026-11-21T10:00:42Z";
const LATER = "2026-11-21T10:09:00Z";

const key = (change: Partial<KeyHealth> = {}): KeyHealth => ({ id: "k", masked: "sk-…1", state: "healthy", resting_until: null, last_error: "", last_error_at: null, ...change });
const breaker = (model: string, change: Partial<BreakerHealth> = {}): BreakerHealth => ({ model, state: "open", failures: 5, last_failure: "status 503", retry_at: SOON, ...change });
const health = (change: Partial<ProviderHealth> = {}): ProviderHealth => ({ provider_id: "p", keys: [key(), key()], breakers: [], running: 0, max_running: 0, queued: 0, ...change });
const said = (change: Partial<ProviderHealth>, models = ["a", "b"]) => {
  const { word, reason } = summarize(health(change), models, NOW);
  return reason === "" ? word : `${word}: ${reason}`;
};
const resting = key({ state: "limited", resting_until: SOON });

describe("how a provider does", () => {
  it("is healthy while nothing is wrong, however busy it is", () => {
    expect(said({})).toBe("Healthy");
    expect(said({ keys: [] })).toBe("Healthy");
    expect(said({ running: 8, max_running: 8, queued: 2 })).toBe("Healthy: 8 of 8 running, 2 waiting");
    expect(said({ breakers: [breaker("a", { state: "closed" })] })).toBe("Healthy");
  });

  it("is degraded while some keys or models still answer", () => {
    expect(said({ keys: [key(), resting] })).toBe("Degraded: 1 of 2 keys rests");
    expect(said({ keys: [key(), resting, key({ state: "unreadable" })] })).toBe("Degraded: 2 of 3 keys do not work");
    expect(said({ breakers: [breaker("a")] })).toBe("Degraded: a is paused");
    expect(said({ breakers: [breaker("a", { state: "half_open" })] }, ["a"])).toBe("Degraded: a is being tried again");
  });

  it("is failing once no key or no model is left", () => {
    expect(said({ keys: [key({ state: "refused", last_error: "Incorrect API key provided" })] })).toBe("Failing: its only key is refused");
    expect(said({ keys: [key({ ...resting, resting_until: LATER }), resting] })).toBe(`Failing: all 2 keys rest, the first until ${clockTime(SOON, NOW)}`);
    expect(said({ breakers: [breaker("a"), breaker("b")], running: 1 })).toBe("Failing: 2 models are paused · 1 running");
  });
});

describe("a key", () => {
  it("tells until when it rests and what the vendor said", () => {
    expect(keyText(resting, NOW)).toEqual({ level: "degraded", text: `rests until ${clockTime(SOON, NOW)}: its rate is limited by the vendor`, error: "" });
    expect(keyText(key({ state: "limited", last_error: "Slow down" }), NOW)).toEqual({ level: "degraded", text: "its rate is limited by the vendor", error: "Slow down" });
    expect(keyText(key({ state: "refused", last_error: "Incorrect API key provided" }), NOW).text).toBe("refused by the vendor: Incorrect API key provided");
    expect(keyText(key({ state: "refused", resting_until: SOON }), NOW).text).toBe(`rests until ${clockTime(SOON, NOW)}, refused by the vendor`);
    expect(keyText(key({ state: "unreadable" }), NOW).level).toBe("failing");
  });

  it("is told what the vendor said without the brackets around it", () => {
    expect(plainly('status 401: { "error": { "message": "Incorrect API key", "code": "invalid_api_key" } }')).toBe("status 401: Incorrect API key");
    expect(plainly('{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')).toBe("Overloaded");
    for (const asItIs of ["", "Slow down", "status 500: {broken", 'status 400: {"code":7}']) expect(plainly(asItIs)).toBe(asItIs);
  });

  it("that is well again still tells of its last trouble", () => {
    expect(keyText(key({ last_error: "Slow down", last_error_at: "2026-11-21T09:57:00Z" }), NOW)).toEqual({ level: "healthy", text: "healthy", error: "Last trouble 3m ago: Slow down" });
    expect(keyText(key(), NOW).error).toBe("");
  });
});

describe("a breaker and the queue", () => {
  it("are told as they stand", () => {
    expect(breakerText(breaker("a"), NOW)).toBe(`paused, tried again at ${clockTime(SOON, NOW)} (5 failures in a row, status 503)`);
    expect(breakerText(breaker("a", { state: "half_open", failures: 1, last_failure: "" }), NOW)).toBe("being tried again with one request (1 failure)");
    expect(breakerText(breaker("a", { state: "closed", failures: 0, last_failure: "" }), NOW)).toBe("answering again");
    expect(loadText({ running: 0, max_running: 8, queued: 0 })).toBe("");
    expect(loadText({ running: 3, max_running: 0, queued: 0 })).toBe("3 running");
  });

  it("name the day of what is far away, and nothing that is no time", () => {
    expect(clockTime("2026-12-24T10:00:00Z", NOW)).toContain("Dec 24");
    expect(clockTime("soon", NOW)).toBe("");
  });
});

import { describe, expect, it } from "vitest";
import { isFiltered, NO_FILTER, sessionQuery } from "./bridgeQuery.ts";

const NOW = Date.parse("2026-11-21T10:00:30Z");

describe("the query for sessions", () => {
  it("is empty for everything", () => {
    expect(sessionQuery(NO_FILTER, NOW)).toBe("");
    expect([NO_FILTER, { ...NO_FILTER, hours: 24 }].map(isFiltered)).toEqual([false, true]);
  });

  it("quotes what holds spaces or colons, and steps with the minute", () => {
    const filter = { client: "Claude Code", model: "qwen3:8b", provider: "openai", user: "dana", hours: 24 };
    expect(sessionQuery(filter, NOW)).toBe('client:"Claude Code" model:"qwen3:8b" provider_name:openai initiator:dana started_after:"2026-11-20T10:00:00.000Z"');
    expect(sessionQuery(filter, NOW)).toBe(sessionQuery(filter, NOW + 20_000));
    expect(sessionQuery({ ...NO_FILTER, model: 'a "b"' }, NOW)).toBe('model:"a b"');
  });
});

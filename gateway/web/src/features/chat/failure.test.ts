import { describe, expect, it } from "vitest";
import { explainFailure, failureFacts, failureReport } from "./failure.ts";

const KINDS = ["generic", "overloaded", "rate_limit", "timeout", "startup_timeout", "stream_silence_timeout", "auth", "config", "usage_limit", "missing_key", "provider_disabled", "content_filter"];

describe("a failed turn", () => {
  it.each(KINDS)("of kind %s says what failed and what comes next", (kind) => {
    const { title, next } = explainFailure({ kind, message: "raw", provider: "openai", retryable: false });
    expect(title).not.toBe("");
    expect(next).toMatch(/\.$/);
    expect(`${title} ${next}`).not.toContain("raw");
  });

  it("of a kind nobody knows yet still has words", () => {
    expect(explainFailure({ kind: "gravity", message: "x", retryable: false })).toMatchObject({ title: "The turn failed", canRetry: true });
  });

  it("for what was spent tells Tandem's own limit from an empty account at the provider", () => {
    const refused = { kind: "usage_limit", message: "", retryable: false };
    expect(explainFailure(refused)).toMatchObject({ title: "Your spending limit is reached", inUsage: true });
    expect(explainFailure({ ...refused, provider: "openai", status_code: 402 }).title).toBe("The account at OpenAI has no credit left");
  });

  it("sends to the settings only when the cause is there", () => {
    expect(explainFailure({ kind: "auth", message: "", retryable: false }).inSettings).toBe(true);
    expect(explainFailure({ kind: "overloaded", message: "", retryable: true }).inSettings).toBe(false);
  });
});

it("the facts leave out what is not known, the report too", () => {
  expect(failureFacts({ message: "x", retryable: true })).toEqual([["Retryable", "yes"]]);
  expect(failureReport({ message: "No.", kind: "rate_limit", status_code: 429, retryable: true }, "c1")).toBe("chat: c1\nkind: rate_limit\nstatus: 429\nretryable: true\nmessage: No.");
});

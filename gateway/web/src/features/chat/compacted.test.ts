import { describe, expect, it } from "vitest";
import { toolRow } from "@/testing/fixtures.ts";
import { COMPACTION_TOOL, compactionOf } from "./compacted.ts";

const row = (change: Parameters<typeof toolRow>[0]) => compactionOf(toolRow({ name: COMPACTION_TOOL, args: { source: "automatic" }, ...change }));

describe("a compaction", () => {
  it("says what it is doing while it is", () => {
    expect(row({ state: "running", result: undefined })).toMatchObject({ state: "running", summary: "" });
  });

  it("says why it happened and keeps what the model remembers", () => {
    expect(row({ result: { summary: "We built it.", source: "automatic", usage_percent: 72 } })).toMatchObject({ state: "done", detail: "72 % of the context was in use", summary: "We built it." });
    expect(row({ result: { summary: "x", source: "manual", usage_percent: 31.4 } }).detail).toBe("as you asked · 31 % of the context was in use");
    expect(row({ result: { summary: "x" } }).detail).toBe("");
  });

  it("that failed says so in the server's words", () => {
    expect(row({ state: "failed", result: { error: "There is nothing to summarise yet.", source: "manual" } })).toMatchObject({ state: "failed", error: "There is nothing to summarise yet." });
  });

  it("of which nothing is kept is a line and nothing to open", () => {
    expect(row({ args: { source: "cleared" }, result: { source: "cleared", summary: "The model has forgotten everything before this point." } })).toMatchObject({ state: "cleared", summary: "" });
  });

  it("without a result after the turn was stopped", () => {
    expect(row({ state: "stopped", result: undefined })).toMatchObject({ state: "stopped", error: "" });
  });
});

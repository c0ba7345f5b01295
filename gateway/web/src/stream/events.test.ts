import { describe, expect, it } from "vitest";
import { parseEvent, parseFrame } from "./events.ts";

describe("a frame", () => {
  it("is an array of events, each with its cursor", () => {
    const frame = parseFrame('[{"type":"status","status":{"status":"running"},"cursor":"v1"},{"type":"preview_reset","cursor":"v2"}]\n');
    expect(frame.map((e) => [e.type, e.cursor])).toEqual([["status", "v1"], ["preview_reset", "v2"]]);
  });

  it("that cannot be read becomes an unknown event instead of an exception", () => {
    expect(parseFrame("<html>")[0]).toMatchObject({ type: "unknown" });
    expect(parseFrame("null")[0]).toMatchObject({ type: "unknown" });
  });
});

describe("an event", () => {
  it("of a known kind without its payload counts as unknown", () => {
    expect(parseEvent({ type: "message" })).toMatchObject({ type: "unknown", kind: "message" });
    expect(parseEvent({ type: "status", status: {} })).toMatchObject({ type: "unknown" });
  });

  it("keeps parts of unknown kinds inside durable messages", () => {
    const event = parseEvent({ type: "message", message: { id: 1, role: "assistant", content: [{ type: "hologram" }, null] } });
    expect(event.type === "message" && event.message.content?.map((p) => p.type)).toEqual(["unknown", "unknown"]);
  });

  it("takes the history reset with or without an envelope", () => {
    expect(parseEvent({ type: "history_reset", history_reset: { from_message_id: 4 } })).toMatchObject({ fromMessageId: 4 });
    expect(parseEvent({ type: "history_reset", from_message_id: 4 })).toMatchObject({ fromMessageId: 4 });
  });
});

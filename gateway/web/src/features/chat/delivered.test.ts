import { describe, expect, it } from "vitest";
import { CHAT, liveView, message, NOW, text } from "@/testing/fixtures.ts";
import { hasArrived, markOf } from "./delivered.ts";

describe("a message whose confirmation got lost", () => {
  const before = liveView(message(1, "user", text("go on")));
  const mark = markOf(before);

  it("has arrived when a newer message says the same", () => {
    expect(hasArrived(liveView(message(1, "user", text("go on")), message(4, "user", text("go on"))), "go on", mark)).toBe(true);
    const queue = [{ id: 3, chat_id: CHAT, content: [text("go on")], created_at: NOW }];
    expect(hasArrived({ ...before, queue }, "go on", mark)).toBe(true);
    expect(hasArrived({ ...before, queue }, "go on", markOf({ ...before, queue }))).toBe(false);
  });

  it("has not arrived when only an older message, another text or the model says so", () => {
    expect(hasArrived(before, "go on", mark)).toBe(false);
    expect(hasArrived(liveView(message(4, "user", text("go on!"))), "go on", mark)).toBe(false);
    expect(hasArrived(liveView(message(4, "assistant", text("go on"))), "go on", mark)).toBe(false);
    expect(hasArrived(liveView(message(4, "user", text(""))), "", mark)).toBe(false);
  });
});

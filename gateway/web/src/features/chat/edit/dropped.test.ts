import { describe, expect, it } from "vitest";
import { call, CHAT, events, liveView, message, NOW, play, result, text } from "@/testing/fixtures.ts";
import { droppedBy, droppedText } from "./dropped.ts";

const chat = play(
  liveView(
    message(1, "user", text("one")),
    message(2, "assistant", text("working"), call("a"), call("b")),
    message(3, "tool", result("a")),
    message(4, "assistant", text("done")),
    message(5, "user", text("two")),
    message(6, "assistant", call("c")),
  ),
  events.status("waiting"),
);

describe("editing a message", () => {
  it("takes away what is behind it, and says what", () => {
    expect(droppedBy(chat, 1)).toEqual({ messages: 1, answers: 2, tools: 3, waiting: 0, stopsTurn: false });
    expect(droppedText(droppedBy(chat, 1))).toBe("Removes 1 message, 2 answers and 3 tool calls below. Files in the workspace stay as they are now.");
    expect(droppedText(droppedBy(chat, 5))).toBe("Removes 1 tool call below. Files in the workspace stay as they are now.");
  });

  it("drops the queue and stops a running turn", () => {
    const running = { ...play(chat, events.status("running")), queue: [{ id: 1, chat_id: CHAT, content: [], created_at: NOW }] };
    expect(droppedText(droppedBy(running, 6))).toBe("The running turn is stopped. Removes 1 waiting message below. Files in the workspace stay as they are now.");
  });

  it("of which nothing follows takes nothing away", () => {
    expect(droppedText(droppedBy(liveView(message(1, "user", text("one"))), 1))).toBe("The running turn is stopped. The agent answers the new text.");
    expect(droppedText(droppedBy(play(liveView(message(1, "user", text("one"))), events.status("error")), 1))).toBe("The agent answers the new text.");
  });
});

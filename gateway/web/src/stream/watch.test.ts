import { describe, expect, it } from "vitest";
import { chat } from "@/testing/fixtures.ts";
import { parseWatchFrame } from "./watch.ts";

const event = { kind: "title_change", chat: chat() };

describe("a frame of the feed", () => {
  it.each<[string, unknown, Partial<ReturnType<typeof parseWatchFrame>>]>([
    ["one event", event, { events: [event], hasGap: false, isBeat: false }],
    ["several", [event, { kind: "status_change", chat: chat() }], { hasGap: false, isBeat: false }],
    ["a heartbeat", { kind: "heartbeat", server_time: "2026-11-21T10:00:00Z" }, { events: [], hasGap: false, isBeat: true }],
    ["a gap", [{ kind: "gap" }, event], { events: [event], hasGap: true, isBeat: false }],
    ["an event without its chat", { kind: "created", chat: null }, { events: [], isBeat: true }],
  ])("of %s", (_, value, expected) => expect(parseWatchFrame(JSON.stringify(value))).toMatchObject(expected));

  it("that is no JSON is nothing", () => expect(parseWatchFrame("<html>")).toEqual({ events: [], hasGap: false, isBeat: false }));
});

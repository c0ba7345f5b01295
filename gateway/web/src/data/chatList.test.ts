import { describe, expect, it } from "vitest";
import { chat } from "@/testing/fixtures.ts";
import { archivedText, groupChats, patched, union, withWatchEvent, withWords } from "./chatList.ts";

const NOW = Date.parse("2026-11-21T12:00:00");
const a = chat({ id: "a", title: "Alpha", updated_at: "2026-11-21T10:00:00" });
const b = chat({ id: "b", title: "Beta", updated_at: "2026-11-21T11:00:00" });

describe("the list and a change", () => {
  it("takes in new chats and drops archived ones", () => {
    const both = withWatchEvent([a], { kind: "created", chat: b }, null);
    expect(both.map((c) => c.id)).toEqual(["b", "a"]);
    expect(withWatchEvent(both, { kind: "deleted", chat: { ...a, archived: true } }, null).map((c) => c.id)).toEqual(["b"]);
  });

  it("marks a chat unread when its turn ends out of sight, not when it is open", () => {
    const running = { ...a, status: "running" as const };
    const ended = { kind: "status_change", chat: { ...a, status: "waiting" as const } };
    expect(withWatchEvent([running], ended, null)[0]?.has_unread).toBe(true);
    expect(withWatchEvent([running], ended, "a")[0]?.has_unread).toBe(false);
  });

  it("keeps children, which the feed leaves out, and finds their parent", () => {
    const parent = { ...a, children: [chat({ id: "k", parent_chat_id: "a" })] };
    expect(withWatchEvent([parent], { kind: "title_change", chat: { ...a, title: "New" } }, null)[0]?.children).toHaveLength(1);
    const grown = withWatchEvent([parent], { kind: "created", chat: chat({ id: "l", parent_chat_id: "a" }) }, null);
    expect(grown).toHaveLength(1);
    expect(grown[0]?.children.map((c) => c.id).toSorted()).toEqual(["k", "l"]);
  });
});

describe("the order of the list", () => {
  it("puts pinned chats first, then days, newest first", () => {
    const old = chat({ id: "o", updated_at: "2026-11-20T10:00:00" });
    const groups = groupChats([a, b, old, chat({ id: "p", pin_order: 1 })], NOW);
    expect(groups.map((g) => [g.name, g.chats.map((c) => c.id)])).toEqual([
      ["Pinned", ["p"]],
      ["Today", ["b", "a"]],
      ["Yesterday", ["o"]],
    ]);
  });

  it("searches title and summary", () => {
    expect(withWords([a, { ...b, last_turn_summary: "About alpha" }], " ALPHA")).toHaveLength(2);
    expect(withWords([a, b], "nothing")).toEqual([]);
    expect(withWords([a, b], "")).toEqual([a, b]);
  });
});

describe("a change asked for here", () => {
  const child = chat({ id: "k", parent_chat_id: "a", title: "Child" });
  const list = [{ ...a, children: [child] }, chat({ id: "p", pin_order: 1 })];

  it("shows at once, for children too", () => {
    expect(patched(list, "a", { title: "New", labels: { team: "x" } })[0]).toMatchObject({ title: "New", labels: { team: "x" }, pin_order: 0 });
    expect(patched(list, "k", { title: "Kid" })[0]?.children[0]?.title).toBe("Kid");
    expect(patched(list, "k", { title: "Kid" })[1]).toBe(list[1]);
  });

  it("pins behind the pinned ones and unpins", () => {
    expect(patched(list, "a", { pin_order: 1 })[0]?.pin_order).toBe(2);
    expect(patched(list, "p", { pin_order: 0 })[1]?.pin_order).toBe(0);
  });

  it("takes an archived chat out with its family, and a child alone", () => {
    expect(patched(list, "a", { archived: true }).map((c) => c.id)).toEqual(["p"]);
    expect(patched(list, "k", { archived: true })[0]?.children).toEqual([]);
  });

  it("says what archiving did", () => {
    expect([archivedText("A", 0, false), archivedText("A", 1, false), archivedText("A", 3, true)]).toEqual([
      "Archived “A”",
      "Archived “A” and its sub-chat",
      "Archived “A” and its 3 sub-chats; the agent was stopped",
    ]);
  });
});

it("two lists become one without repetitions", () => {
  expect(union([a, b], [b, chat({ id: "c" })]).map((c) => c.id)).toEqual(["a", "b", "c"]);
});

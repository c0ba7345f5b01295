import { describe, expect, it } from "vitest";
import { chat } from "@/testing/fixtures.ts";
import { markRead, withoutRead } from "./readMarks.ts";

const EARLY = "2026-11-21T10:00:00.5Z";
const LATE = "2026-11-21T10:00:01.25Z";
const unread = (updated_at: string, id = "a") => chat({ id, updated_at, has_unread: true });
const marks = (...chats: ReturnType<typeof chat>[]) => withoutRead(chats, null).map((c) => c.has_unread);

describe("a chat that was read here", () => {
  it("does not look unread when the server has not heard of it yet", () => {
    markRead(unread(EARLY));
    expect(marks(unread(EARLY), unread(EARLY, "b"))).toEqual([false, true]);
  });

  it("looks unread once something has happened since", () => {
    markRead(unread(EARLY));
    expect(marks(unread(LATE))).toEqual([true]);
  });

  it("keeps the newer of two marks", () => {
    markRead(unread(LATE));
    markRead(unread(EARLY));
    expect(marks(unread(LATE))).toEqual([false]);
  });

  it("is read while it is open, and stays so when it is left", () => {
    expect(withoutRead([unread(EARLY)], "a")[0]?.has_unread).toBe(false);
    expect(marks(unread(EARLY))).toEqual([false]);
  });

  it("is left as it is when there is nothing to correct", () => {
    const list = [unread(EARLY), chat({ id: "b", children: [unread(LATE, "k")] })];
    expect(withoutRead(list, null)).toBe(list);
  });

  it("may be a sub-chat", () => {
    const child = unread(EARLY, "k");
    markRead(child);
    expect(withoutRead([chat({ id: "p", children: [child] })], null)[0]?.children[0]?.has_unread).toBe(false);
  });
});

it("marks are forgotten, oldest first, before they fill the store", () => {
  for (let n = 0; n <= 200; n += 1) markRead(unread(EARLY, `c${String(n)}`));
  expect(marks(unread(EARLY, "c0"), unread(EARLY, "c1"), unread(EARLY, "c200"))).toEqual([true, false, false]);
});

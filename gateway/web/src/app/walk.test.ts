import { beforeEach, describe, expect, it } from "vitest";
import { nextPlace, walk } from "./walk.ts";

describe("walking through the list", () => {
  it.each<[number, number, 1 | -1, number]>([
    [-1, -1, 1, 0],
    [-1, 2, 1, 2],
    [1, 2, 1, 2],
    [1, 2, -1, 0],
    [0, 0, -1, 0],
    [3, 0, 1, 3],
  ])("from %i, with %i open, by %i leads to %i", (focused, open, step, expected) => expect(nextPlace(focused, open, step, 4)).toBe(expected));

  beforeEach(() => {
    document.body.innerHTML = '<a href="#1" data-walk="chat">one</a><a href="#2" data-walk="chat" aria-current="page">two</a><a href="#3" data-walk="chat">three</a>';
  });

  it("moves the focus", () => {
    const seen = [1, 1, 1, -1].map((step) => {
      walk(step as 1 | -1);
      return document.activeElement?.textContent;
    });
    expect(seen).toEqual(["two", "three", "three", "two"]);
  });
});

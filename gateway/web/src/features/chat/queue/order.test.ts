import { describe, expect, it } from "vitest";
import { moved } from "@/lib/order.ts";
import { dropPlace, inOrder } from "./order.ts";

describe("moving a waiting message", () => {
  it.each([
    [0, 2, "bca"],
    [2, 0, "cab"],
    [1, 1, "abc"],
    [0, 99, "bca"],
    [2, -5, "cab"],
    [9, 0, "abc"],
  ])("from %i to %i gives %s", (from, to, expected) => expect(moved([..."abc"], from, to).join("")).toBe(expected));

  it("holds the wished order over what the server says meanwhile", () => {
    const items = [1, 2, 3, 4].map((id) => ({ id }));
    const ids = (wished: number[] | null) => inOrder(items, wished).map((item) => item.id);
    expect(ids(null)).toEqual([1, 2, 3, 4]);
    expect(ids([3, 1, 2])).toEqual([3, 1, 2, 4]);
    expect(ids([9, 4])).toEqual([4, 1, 2, 3]);
  });

  it.each([
    [0, 0, 0],
    [0, 19, 0],
    [0, 31, 1],
    [0, 500, 2],
    [2, -31, 1],
    [2, -500, 0],
    [1, 0, 1],
    [1, 40, 2],
    [1, -40, 0],
  ])("the row at %i dragged by %i pixels lands at %i", (from, offset, expected) => expect(dropPlace([30, 30, 30], from, offset)).toBe(expected));

  it("reckons with rows of different heights", () => {
    expect(dropPlace([30, 120, 30], 0, 50)).toBe(0);
    expect(dropPlace([30, 120, 30], 0, 80)).toBe(1);
  });
});

import { describe, expect, it } from "vitest";
import { intentOf } from "./useFollowEnd.ts";

const at = (top: number, height: number) => ({ top, height });

describe("a scroll", () => {
  it.each<[string, ReturnType<typeof at>, ReturnType<typeof at>, boolean | null]>([
    ["up by the reader leaves the end", at(500, 1_000), at(300, 1_000), false],
    ["up by the reader while text arrives leaves it too", at(500, 1_000), at(480, 1_400), false],
    ["down to the end comes back", at(300, 1_000), at(490, 1_000), true],
    ["caused by text that became shorter says nothing", at(900, 1_400), at(300, 1_000), null],
    ["caused by text that came in above says nothing", at(500, 1_000), at(900, 2_400), null],
    ["half-way down says nothing", at(100, 2_000), at(300, 2_000), null],
  ])("%s", (_, before, now, expected) => expect(intentOf(before, now, 500)).toBe(expected));
});

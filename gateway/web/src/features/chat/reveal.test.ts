import { expect, it } from "vitest";
import { stepTo } from "./reveal.ts";

const FRAME = { top: 50, bottom: 700 };

it("what is opened within the frame stays where it is", () => {
  expect(stepTo(FRAME, { top: 100, bottom: 136 }, { top: 136, bottom: 400 })).toBe(0);
});

it("what is opened at the end comes up until it is seen", () => {
  expect(stepTo(FRAME, { top: 640, bottom: 676 }, { top: 676, bottom: 900 })).toBe(212);
});

it("what is longer than the frame comes up until its heading is at the top", () => {
  expect(stepTo(FRAME, { top: 640, bottom: 676 }, { top: 676, bottom: 3_000 })).toBe(578);
});

it("nothing moves down for a heading that is above the frame", () => {
  expect(stepTo(FRAME, { top: 20, bottom: 56 }, { top: 56, bottom: 3_000 })).toBe(0);
});

import { expect, it } from "vitest";
import { sizeText } from "./size.ts";

it.each([
  [0, "0 B"],
  [1_023, "1023 B"],
  [1_024, "1 KiB"],
  [1_536, "1.5 KiB"],
  [10_240, "10 KiB"],
  [3 * 1_024 ** 2, "3 MiB"],
  [5 * 1_024 ** 4, "5120 GiB"],
])("%d bytes are %s", (bytes, text) => expect(sizeText(bytes)).toBe(text));

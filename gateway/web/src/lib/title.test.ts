import { describe, expect, it } from "vitest";
import { plainTitle, titlePieces } from "./title.ts";

describe("a title", () => {
  it("shows code as code, without its backticks", () => {
    expect(titlePieces("Run `uname -a` and tell me")).toEqual([
      { text: "Run ", isCode: false },
      { text: "uname -a", isCode: true },
      { text: " and tell me", isCode: false },
    ]);
  });

  it.each([
    ["**Fix** the _login_ page", "Fix the login page"],
    ["# Release notes", "Release notes"],
    ["> - [x] done", "done"],
    ["1. First things", "First things"],
    ["See [the docs](https://example.com/a) first", "See the docs first"],
    ["~~old~~ new", "old new"],
    ["``a `tick` b``", "a `tick` b"],
    ["```rust fn main() {}```", "fn main() {}"],
    ["cut `in the mid", "cut in the mid"],
    ["two\nlines", "two lines"],
  ])("loses its marks: %j", (title, plain) => {
    expect(plainTitle(title)).toBe(plain);
  });

  it.each(["snake_case and other_names", "2 * 3 * 4", "C# or F#", "a[0] = b", "5 > 3", "-1 degrees", "~/notes", "###", "init__.py"])("keeps what is no mark: %j", (title) => {
    expect(plainTitle(title)).toBe(title);
  });

  it("keeps marks inside code", () => {
    expect(plainTitle("Explain `**args` here")).toBe("Explain **args here");
  });
});

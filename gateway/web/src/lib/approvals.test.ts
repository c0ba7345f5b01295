import { describe, expect, it } from "vitest";
import { hasUnseen, MODES, modeWords, noteProblem, sentence, spelt } from "./approvals.ts";
import { proposedDiff } from "./diff.ts";
import { ahead } from "./time.ts";

describe("a note to the model", () => {
  it("is measured in bytes, without the space around it", () => {
    expect(noteProblem(`  ${"a".repeat(1_024)}  `)).toBe("");
    expect(noteProblem("a".repeat(1_025))).toBe("This is 1 byte too long.");
    expect(noteProblem("é".repeat(600))).toBe("This is 176 bytes too long.");
  });
});

describe("what is not seen", () => {
  it("is spelt out: directions, zero widths, controls", () => {
    expect(spelt("a\u202eb\u200bc\u0007d\re")).toBe("a⟨U+202E⟩b⟨U+200B⟩c⟨U+0007⟩d⟨U+000D⟩e");
  });

  it("is neither the end of a line, nor a tab, nor a letter, nor how an emoji looks", () => {
    for (const text of ["ls -la\n\techo é 日本 ✔\ufe0f", "one\r\ntwo"]) {
      expect(hasUnseen(text)).toBe(false);
      expect(spelt(text)).toBe(text);
    }
  });
});

describe("words", () => {
  it("of a reason are a sentence with one full stop", () => {
    expect([sentence("It writes "), sentence("It writes.")]).toEqual(["It writes.", "It writes."]);
  });

  it("are there for every mode, and the most lenient stands for one nobody knows", () => {
    expect(MODES.map(({ mode }) => mode)).toEqual(["never", "risky", "always"]);
    expect(modeWords("always").name).toBe("Ask before every change");
    expect(modeWords("sometimes" as never).mode).toBe("never");
  });

  it("of what is left of a wait promise no more than there is", () => {
    const now = Date.parse("2026-11-22T10:00:00Z");
    const left = (ms: number) => ahead(new Date(now + ms).toISOString(), now);
    expect([-5, 900, 59_999, 60_000, 3_599_999, 86_399_999, 3 * 86_400_000].map(left)).toEqual(["any moment", "any moment", "in 59 s", "in 1 min", "in 59 min", "in 23 h", "in 3 days"]);
    expect(ahead("soon", now)).toBe("");
  });
});

describe("a replacement that has not been made", () => {
  const kinds = (search: string, replace: string) => proposedDiff([{ search, replace, note: "" }]).lines.map(({ kind, text }) => `${kind} ${text}`);

  it("shows once what both sides begin and end with", () => {
    expect(kinds("a\nb\nc\n", "a\nx\ny\nc\n")).toEqual(["same a", "del b", "add x", "add y", "same c"]);
    expect(kinds("a\na", "a")).toEqual(["same a", "del a"]);
    expect(kinds("gone", "")).toEqual(["del gone"]);
  });

  it("counts, marks what changed within a line, and parts one from the next", () => {
    const diff = proposedDiff([
      { search: "version 1", replace: "version 2", note: "" },
      { search: "x", replace: "y", note: "wherever it stands" },
    ]);
    expect([diff.added, diff.removed]).toEqual([2, 2]);
    expect(diff.lines[0]?.mark).toEqual([8, 9]);
    expect(diff.lines[2]).toMatchObject({ kind: "hunk", text: "wherever it stands" });
  });
});

import { describe, expect, it } from "vitest";
import { terminalRuns } from "./ansi.ts";
import { closeTail, fenceOf, splitBlocks } from "./blocks.ts";
import { parseDiff } from "./diff.ts";
import { safeHref } from "./links.ts";
import { ago, clock, dayGroup, duration } from "./time.ts";

describe("splitting Markdown into blocks", () => {
  it("finishes a block at a blank line and keeps the rest open", () => {
    expect(splitBlocks("one\n\ntwo\n\nthr")).toEqual({ finished: ["one", "two"], tail: "thr" });
  });

  it("never cuts a fence, closed or open", () => {
    const code = "```js\na\n\nb\n```";
    expect(splitBlocks(`${code}\n\nafter`)).toEqual({ finished: [code], tail: "after" });
    expect(splitBlocks("```js\na\n\nb")).toEqual({ finished: [], tail: "```js\na\n\nb" });
  });

  it("keeps the items of a loose list together", () => {
    expect(splitBlocks("1. a\n\n2. b\n\n   more\n\ntext").finished).toEqual(["1. a\n\n2. b\n\n   more"]);
  });

  it("loses and moves no text, wherever the stream is cut", () => {
    const text = "# T\n\n- a\n\n- b\n\n```\nx\n\ny\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\nend `code` **bold**";
    for (let at = 0; at <= text.length; at += 1) {
      const { finished, tail } = splitBlocks(text.slice(0, at));
      expect([...finished, tail].join("").replaceAll(/\s/g, "")).toBe(text.slice(0, at).replaceAll(/\s/g, ""));
    }
  });

  it("makes a fence a block of its own, with or without blank lines around it", () => {
    expect(splitBlocks("Look:\n```rs\nlet a;\n\nlet b;\n```\nThat is it.")).toEqual({ finished: ["Look:", "```rs\nlet a;\n\nlet b;\n```"], tail: "That is it." });
    expect(splitBlocks("- one\n  ```\n  x\n  ```\n- two").finished).toEqual([]);
  });

  it.each([
    ["```rust\nlet a;\n```", { language: "rust", code: "let a;" }],
    ["```rust,ignore\nlet a;\n\n", { language: "rust,ignore", code: "let a;\n\n" }],
    ["```", { language: "", code: "" }],
    ["```\n```", { language: "", code: "" }],
    ["````md\n```\nx\n```\n````", { language: "md", code: "```\nx\n```" }],
    ["~~~ sh -x\nls\n~~~\n", { language: "sh", code: "ls" }],
    ["``` a`b\nx", null],
    ["text\n```", null],
    ["  ```\nx", null],
  ])("reads %j as a lone fence", (block, expected) => expect(fenceOf(block)).toEqual(expected));

  it("leaves text with reference definitions whole", () => {
    expect(splitBlocks("[a]\n\n[a]: https://x.example").finished).toEqual([]);
  });
});

describe("closing a half-written tail", () => {
  it.each([
    ["some **bo", "some **bo**"],
    ["some **", "some "],
    ["some `co", "some `co`"],
    ["see [the docs](https://exa", "see the docs"],
    ["see [the do", "see the do"],
    ["```\n**x", "```\n**x"],
    ["- [ ] task", "- [ ] task"],
  ])("%j becomes %j", (before, after) => expect(closeTail(before)).toBe(after));
});

describe("reading a diff", () => {
  const diff = parseDiff("--- a\n+++ a\n@@ -1,3 +1,3 @@ fn x\n same\n-let a = 1;\n+let a = 2;\n end\n\\ No newline at end of file\n");

  it("numbers and counts the lines", () => {
    expect(diff).toMatchObject({ added: 1, removed: 1 });
    expect(diff.lines.map((l) => [l.kind, l.oldLine, l.newLine])).toEqual([
      ["hunk", null, null],
      ["same", 1, 1],
      ["del", 2, null],
      ["add", null, 2],
      ["same", 3, 3],
    ]);
  });

  it("marks what changed within a line", () => {
    const del = diff.lines[2];
    expect(del?.mark && del.text.slice(...del.mark)).toBe("1");
  });

  it("takes lines of dashes inside a hunk for content", () => {
    expect(parseDiff("@@ -1 +1 @@\n--- x\n+++ y\n")).toMatchObject({ added: 1, removed: 1 });
  });
});

describe("terminal text", () => {
  it("keeps colours and drops every other control", () => {
    expect(terminalRuns("a\u001B[1;32mb\u001B[0m\u001B[2Kc\u001B]0;title\u0007d\u0000")).toEqual([
      { text: "a", color: null, bold: false },
      { text: "b", color: 2, bold: true },
      { text: "c", color: null, bold: false },
      { text: "d", color: null, bold: false },
    ]);
  });

  it("lets a carriage return overwrite its line", () => {
    expect(terminalRuns("10%\r50%\r100%\nok\r\n").map((r) => r.text)).toEqual(["100%\nok\n"]);
  });
});

describe("addresses", () => {
  it.each(["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "", "/relative", "//evil.example\u0000"])("%j is no link", (href) => {
    const safe = safeHref(href);
    expect(safe === null || safe.startsWith("https://evil.example")).toBe(true);
  });
  it.each(["https://a.example/x", "http://a.example/", "mailto:a@b.example"])("%j is a link", (href) => expect(safeHref(href)).toBe(href));
});

describe("times", () => {
  const now = Date.parse("2026-11-21T12:00:00");
  it("read as people say them", () => {
    expect([10_000, 5 * 60_000, 3 * 3_600_000, 50 * 3_600_000].map((age) => ago(new Date(now - age).toISOString(), now))).toEqual(["now", "5m", "3h", "2d"]);
    expect([42, 3_210, 59_900, 125_000].map(duration)).toEqual(["42 ms", "3.2 s", "59 s", "2 m 05 s"]);
    expect([900, 61_000].map(clock)).toEqual(["0 s", "1 m 01 s"]);
  });
  it("fall into days by the calendar", () => {
    expect(["2026-11-21T00:01:00", "2026-11-20T23:59:00", "2026-11-16T12:00:00", "2026-11-01T12:00:00", "2026-01-01T12:00:00"].map((t) => dayGroup(t, now))).toEqual([
      "Today",
      "Yesterday",
      "Previous 7 days",
      "Previous 30 days",
      "Older",
    ]);
  });
});

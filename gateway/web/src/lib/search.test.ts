import { describe, expect, it } from "vitest";
import { FILTERS, readSearch, toggleTerm } from "./chatQuery.ts";
import { labelsOf, labelTerm, readLabel } from "./labels.ts";

describe("what is typed into the search field", () => {
  it.each([
    ["", "", []],
    ["release notes", 'title:"release notes"', []],
    ["storage::queue", 'title:"storage::queue"', []],
    ["has_unread:true", "has_unread:true", []],
    ["Archived:true old plan", 'archived:true title:"old plan"', []],
    ['title:"two words" rest', 'title:"two words"', []],
    ["label:team:storage bug", 'title:"bug"', ["team:storage"]],
    ['label:"note:a b" label:env:prod', "", ["note:a b", "env:prod"]],
    ["title:", "", []],
    ["label:team", "", []],
    ['say "hel', 'title:"say hel"', []],
    ["diff_url:https://example.com/pull/1", 'diff_url:"https://example.com/pull/1"', []],
  ])("%j asks for %j and labels %j", (text, q, labels) => expect(readSearch(text)).toMatchObject({ q, labels }));

  it("knows words from filters", () => {
    expect(readSearch("one two")).toMatchObject({ words: "one two", isPlain: true });
    expect(readSearch("one archived:true")).toMatchObject({ words: "one", isPlain: false });
  });

  it("understands every filter it recommends", () => {
    for (const { example } of FILTERS) expect(readSearch(example)).toMatchObject({ isPlain: false, words: "" });
  });

  it("takes a term in and out", () => {
    expect(toggleTerm("plan", "archived:true")).toBe("plan archived:true");
    expect(toggleTerm('plan title:"a b" archived:true', 'title:"a b"')).toBe("plan archived:true");
  });
});

describe("a label", () => {
  it.each([
    ["team: storage", { key: "team", value: "storage" }],
    ["a/b.c-d_e=x:y", { key: "a/b.c-d_e", value: "x:y" }],
  ])("%j is read", (text, label) => expect(readLabel(text)).toEqual(label));

  it.each(["team", "team:", ": x", "-team: x", "te am: x", `${"k".repeat(65)}: x`, `k: ${"é".repeat(129)}`])("%j is refused with a reason", (text) => expect(readLabel(text)).toHaveProperty("problem"));

  it("finds its chats by its term, and stands in the order of its key", () => {
    expect(readSearch(labelTerm({ key: "note", value: "a b" })).labels).toEqual(["note:a b"]);
    expect(readSearch(labelTerm({ key: "env", value: "prod" })).labels).toEqual(["env:prod"]);
    expect(labelsOf({ b: "1", a: "2" }).map((label) => label.key)).toEqual(["a", "b"]);
    expect(labelsOf(undefined)).toEqual([]);
  });
});

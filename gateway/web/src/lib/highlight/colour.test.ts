import { describe, expect, it } from "vitest";
import { parseDiff } from "@/lib/diff.ts";
import { colour, colourDiff, type Coloured, GROUP_LINES, type Line, MAX_LINE_CHARS } from "./colour.ts";
import { withMark } from "./mark.ts";
import { type Language, languageNamed, languageOfPath, loadParser, type Parser } from "./languages.ts";
import { lookOf } from "./looks.ts";

const RUST = '/* a note\n   over lines */\npub fn main() -> u32 {\n    let name = "x"; // why\n\n    42\n}\n';
const LANGUAGES: Language[] = ["c", "cpp", "csharp", "css", "dart", "diff", "dockerfile", "go", "html", "ini", "java", "javascript", "json", "kotlin", "lua", "nginx", "perl"];
const MORE: Language[] = ["powershell", "protobuf", "python", "ruby", "rust", "scala", "scss", "shell", "sql", "swift", "toml", "typescript", "xml", "yaml"];

const textOf = (lines: readonly Line[]) => lines.map((line) => line.map((token) => token.text).join("")).join("\n");
const looks = (line: Line | undefined) => (line ?? []).flatMap((token) => (token.look === null ? [] : [`${token.look}:${token.text.trim()}`]));

function streamed(parser: Parser, text: string, step: number): Coloured {
  let last: Coloured | null = null;
  for (let at = 0; at <= text.length + step; at += step) last = colour(parser, text.slice(0, at), last);
  return last ?? colour(parser, text);
}

describe("coloured code", () => {
  it("knows keywords, strings, numbers and comments, also over several lines", async () => {
    const { lines } = colour(await loadParser("rust"), RUST);
    expect(looks(lines[1])).toEqual(["comment:over lines */"]);
    expect(looks(lines[2])).toEqual(expect.arrayContaining(["keyword:pub", "keyword:fn"]));
    expect(looks(lines[3])).toEqual(expect.arrayContaining(['string:"x"', "comment:// why"]));
    expect(looks(lines[5])).toEqual(["number:42"]);
  });

  it.each([...LANGUAGES, ...MORE])("in %s keeps every character, whatever it is fed", async (language) => {
    const parser = await loadParser(language);
    for (const text of [RUST, "", "\n\n", "\t\u0000 \u{1F600} <a b='c'>{{ #if \"", "'".repeat(90), "a: [1, {b: c}]\r\n- |\n  x", "$(( ${a:-b} `x`"]) {
      expect(textOf(colour(parser, text).lines)).toBe(text);
    }
  });

  it.each<[Language, number]>([["rust", 1], ["python", 7], ["typescript", 3], ["yaml", 5]])("in %s looks the same streamed in steps of %i as at once", async (language, step) => {
    const parser = await loadParser(language);
    expect(streamed(parser, RUST, step).lines).toEqual(colour(parser, RUST).lines);
  });

  it("goes on where it stopped: what was coloured is neither coloured again nor drawn again", async () => {
    const real = await loadParser("rust");
    let calls = 0;
    const parser: Parser = { ...real, token: (stream, state) => ((calls += 1), real.token(stream, state)) };
    const before = colour(parser, "let a = 1;\n".repeat(GROUP_LINES * 3));
    calls = 0;
    const after = colour(parser, `${before.text}let b`, before);
    expect(calls).toBeLessThan(10);
    expect(after.groups[1]).toBe(before.groups[1]);
    expect(after.lines[5]).toBe(before.lines[5]);
    expect(colour(parser, before.text, before)).toBe(before);
  });

  it("starts over for another text", async () => {
    const parser = await loadParser("rust");
    expect(colour(parser, "let b;", colour(parser, "/* open")).lines).toEqual(colour(parser, "let b;").lines);
  });

  it("leaves a line of monstrous length plain", async () => {
    const long = "let ".repeat(MAX_LINE_CHARS);
    expect(colour(await loadParser("rust"), long).lines).toEqual([[{ text: long, look: null }]]);
  });

  it("survives a tokenizer that throws and one that stands still", () => {
    const bad: Parser = { token: () => { throw new Error("no"); } };
    const still: Parser = { token: () => null };
    expect(textOf(colour(bad, "a\nb").lines)).toBe("a\nb");
    expect(textOf(colour(still, "a\nb").lines)).toBe("a\nb");
  });
});

describe("a coloured diff", () => {
  it("reads what was and what is each on its own", async () => {
    const { lines } = parseDiff("@@ -1,3 +1,2 @@\n-/* old\n-note */\n+let a = 1;\n let b = 2;\n");
    const coloured = colourDiff(await loadParser("rust"), lines);
    expect(looks(coloured[2])).toEqual(["comment:note */"]);
    expect(looks(coloured[3])).toContain("keyword:let");
    expect(looks(coloured[4])).toContain("keyword:let");
  });

  it("is cut where its mark begins and ends, without losing a character", () => {
    const line: Line = [{ text: "let ", look: "keyword" }, { text: "name", look: null }];
    const pieces = withMark(line, [2, 6]);
    expect(pieces.map((p) => [p.text, p.look, p.marked])).toEqual([["le", "keyword", false], ["t ", "keyword", true], ["na", null, true], ["me", null, false]]);
    expect(withMark(line, [0, 8]).every((p) => p.marked)).toBe(true);
  });
});

describe("a language", () => {
  it.each([["rs", "rust"], ["Rust", "rust"], ["rust,ignore", "rust"], ["js {1,3}", "javascript"], ["sh", "shell"], ["klingon", null], ["", null]])("named %j is %j", (name, expected) => expect(languageNamed(name)).toBe(expected));
  it.each([["/a/b.rs", "rust"], ["x.tar.yml", "yaml"], ["Dockerfile.dev", "dockerfile"], ["a/Makefile", "shell"], ["LICENSE", null], ["/home/me.rs/notes", null]])("of %j is %j", (path, expected) => expect(languageOfPath(path)).toBe(expected));
});

it("styles of every spelling have a look, and ordinary names have none", () => {
  expect(["string property", "variableName.standard", "variable-2", "string.special", "operator", undefined].map(lookOf)).toEqual(["property", "name", null, "string", null, null]);
});

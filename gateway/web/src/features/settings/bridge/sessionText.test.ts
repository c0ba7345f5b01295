import { describe, expect, it } from "vitest";
import { clientName, firstLine, prettyInput, sourceName, tokensLine } from "./sessionText.ts";

const sums = (input: number, output: number, read = 0, write = 0) => ({ input_tokens: input, output_tokens: output, cache_read_input_tokens: read, cache_write_input_tokens: write });

describe("a session in words", () => {
  it("counts what was taken in, cached or not", () => {
    expect(tokensLine(sums(100, 480, 11_000, 900))).toBe("12k in, 480 out");
    expect(tokensLine(sums(0, 0))).toBe("");
  });

  it("is called by the first line that says something", () => {
    expect(firstLine("\n  \n Fix the build \nplease")).toBe("Fix the build");
    expect([firstLine(undefined), firstLine(" \n")]).toEqual(["", ""]);
    expect([clientName(null), clientName("Codex")]).toEqual(["Unknown client", "Codex"]);
    expect([sourceName("thinking"), sourceName("dreaming")]).toEqual(["Thought", "dreaming"]);
  });

  it("shows arguments laid out, and what is no JSON as it is", () => {
    expect(prettyInput('{"a":[1]}')).toEqual({ code: '{\n  "a": [\n    1\n  ]\n}', language: "json" });
    expect(prettyInput("ls -l")).toEqual({ code: "ls -l", language: "text" });
  });
});

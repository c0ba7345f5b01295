import { describe, expect, it } from "vitest";
import { type Dialect, SNIPPETS } from "./snippets.ts";

describe("what is copied into programs", () => {
  const all = SNIPPETS.flatMap((snippet) => snippet.dialects.map((dialect: Dialect) => [snippet.id, dialect, snippet.code({ origin: "https://tandem.example", model: "it's", dialect })] as const));

  it.each(all)("%s for %s points at this deployment and names the model, but no token", (_, dialect, code) => {
    expect(code).toContain(`https://tandem.example/${dialect}`);
    expect(code).toContain("TANDEM_TOKEN");
    expect(code).toMatch(/it'(?:\\'')?s/);
  });

  it("keeps a shell's quotes whole whatever a model is called", () => {
    const curl = all.find(([id, dialect]) => id === "curl" && dialect === "openai")?.[2] ?? "";
    expect(curl).toContain(`'{"model": "it'\\''s",`);
  });
});

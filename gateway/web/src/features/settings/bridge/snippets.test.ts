import { describe, expect, it } from "vitest";
import { type Dialect, programUrl, SNIPPETS } from "./snippets.ts";

describe("what is copied into programs", () => {
  const all = SNIPPETS.flatMap((snippet) => snippet.dialects.map((dialect: Dialect) => [snippet.id, dialect, snippet.code({ origin: "https://tandem.example", model: "it's", dialect })] as const));

  it.each(all)("%s for %s points at this deployment and names the model, but no token", (_, dialect, code) => {
    expect(code).toContain(`https://tandem.example/${dialect}`);
    expect(code).toContain("TANDEM_TOKEN");
    expect(code).toMatch(/it'(?:\\'')?s/);
  });

  it("leaves the version to Anthropic's programs, which add it themselves", () => {
    expect(programUrl("https://t.example", "anthropic")).toBe("https://t.example/anthropic");
    expect(programUrl("https://t.example", "openai")).toBe("https://t.example/openai/v1");
    for (const [id, dialect, code] of all) if (dialect === "anthropic" && id !== "curl") expect(code).not.toContain("/anthropic/v1");
  });

  it("keeps a shell's quotes whole whatever a model is called", () => {
    const curl = all.find(([id, dialect]) => id === "curl" && dialect === "openai")?.[2] ?? "";
    expect(curl).toContain(`'{"model": "it'\\''s",`);
  });
});

import { describe, expect, it } from "vitest";
import { contextLimitFor, guessPreset, preferredModel, PRESETS } from "./presets.ts";

const preset = (id: string) => PRESETS.find((one) => one.id === id);

describe("well-known providers", () => {
  it("are guessed by how their keys begin, the more telling beginning first", () => {
    const guesses = ["sk-ant-api03-x", "sk-or-v1-x", "sk-proj-x", "AIzaSyx", "gsk_x", "vck_x", "ABSKx", "0123abcd"].map((key) => guessPreset(key)?.id);
    expect(guesses).toEqual(["anthropic", "openrouter", "openai", "google", "groq", "vercel", "bedrock", undefined]);
  });

  it("are of their own type, at the address the server knows", () => {
    for (const type of ["anthropic", "openai", "google", "azure", "bedrock", "openrouter", "vercel"]) {
      expect(preset(type)).toMatchObject({ type });
      expect(preset(type)?.baseUrl).toBeUndefined();
    }
    expect(PRESETS.filter(({ type, baseUrl }) => type === "openai-compat" && baseUrl === undefined)).toEqual([]);
  });

  it("need an address only where the server cannot know one", () => {
    expect(PRESETS.filter(({ address }) => address?.isRequired).map(({ id }) => id)).toEqual(["azure"]);
  });

  it("prefer a good model of those that are there", () => {
    expect(preferredModel(["models/embedding", "models/gemini-2.5-pro"], preset("google")?.preferred ?? [])).toBe("models/gemini-2.5-pro");
    expect(preferredModel(["b", "a"], ["x"])).toBe("b");
    expect(contextLimitFor("models/gemini-2.5-pro")).toBe(1_000_000);
  });
});

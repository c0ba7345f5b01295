import { describe, expect, it } from "vitest";
import type { OwnKey } from "@/api/ownKeys.ts";
import { keyProblem, MAX_KEY_BYTES, ownKeyText } from "./ownKeyText.ts";

const ownKey = (change: Partial<OwnKey> = {}, isEnabled = true): OwnKey => ({
  provider: { id: "p", type: "openai", name: "openai", display_name: "OpenAI", enabled: isEnabled, deleted: false },
  has_user_api_key: false,
  has_provider_api_key: false,
  byok_enabled: true,
  ...change,
});

describe("a key of one's own", () => {
  it("is missing only where nothing else answers", () => {
    expect(ownKeyText(ownKey()).isMissing).toBe(true);
    expect(ownKeyText(ownKey({ has_provider_api_key: true })).isMissing).toBe(false);
    expect(ownKeyText(ownKey({ has_user_api_key: true })).isMissing).toBe(false);
    expect(ownKeyText(ownKey({}, false)).isMissing).toBe(false);
  });

  it("that is no longer taken says so", () => {
    expect(ownKeyText(ownKey({ has_user_api_key: true, byok_enabled: false })).text).toContain("No longer used");
  });

  it("has no spaces and an end", () => {
    expect(keyProblem("  sk-1234 ")).toBeUndefined();
    expect(keyProblem("sk 1234")).toBeDefined();
    expect(keyProblem("k".repeat(MAX_KEY_BYTES))).toBeUndefined();
    expect(keyProblem("k".repeat(MAX_KEY_BYTES + 1))).toBeDefined();
  });
});

import { describe, expect, it } from "vitest";
import { isUsersOwn, modelName, needsKey, programAddress, providerName } from "./names.ts";

describe("the demo", () => {
  it("says that it is scripted, whatever it was called when it was connected", () => {
    for (const display_name of ["", "Demo", "tandem-demo"]) {
      expect(modelName({ provider: "demo", model: "tandem-demo", display_name })).toBe("Demo (scripted)");
      expect(providerName({ type: "demo", name: "demo", display_name })).toBe("Demo (scripted)");
    }
  });

  it("keeps a name that somebody has chosen for it", () => {
    expect(modelName({ provider: "demo", model: "tandem-demo", display_name: "Toy" })).toBe("Toy");
    expect(providerName({ type: "demo", name: "demo", display_name: "Toy" })).toBe("Toy");
  });
});

describe("a model and a provider", () => {
  it("are called as somebody has named them, else as the provider does", () => {
    expect(modelName({ provider: "openai", model: "gpt-5", display_name: "Big one" })).toBe("Big one");
    expect(modelName({ provider: "openai", model: "gpt-5", display_name: "" })).toBe("gpt-5");
    expect(providerName({ type: "openai", name: "openai-2", display_name: "" })).toBe("openai-2");
  });
});

describe("a key", () => {
  it("is missed only where nobody is answered without one", () => {
    const lacking = (type: string, name = type) => needsKey({ type, name });
    expect(["openai", "anthropic", "azure", "google", "openrouter", "vercel"].map((type) => lacking(type))).not.toContain(false);
    expect(["demo", "openai-compat", "bedrock", "copilot"].map((type) => lacking(type))).not.toContain(true);
    expect([lacking("openai", "chatgpt"), lacking("openai", "chatgpt-2"), lacking("openrouter", "chatgpt")]).toEqual([false, true, true]);
  });

  it("is the program's own at services that know people by a sign-in, each at an address of its own", () => {
    expect(isUsersOwn({ type: "copilot", name: "copilot-business" })).toBe(true);
    expect(programAddress({ type: "copilot", name: "copilot-business" })).toBe("/api/v2/aibridge/copilot-business");
    expect(programAddress({ type: "openai", name: "chatgpt" })).toBe("/api/v2/aibridge/chatgpt/v1");
  });
});

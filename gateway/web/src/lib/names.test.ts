import { describe, expect, it } from "vitest";
import { modelName, providerName } from "./names.ts";

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

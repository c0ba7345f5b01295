import { describe, expect, it } from "vitest";
import { fieldText, readConfig, readField, valueAt, withValue } from "./callConfig.ts";
import { FALLBACKS, type Option, optionsFor, PRICES } from "./callOptions.ts";

const option = (kind: Option["kind"], more: Partial<Option> = {}): Option => ({ path: ["x"], label: "X", kind, ...more });

describe("call options", () => {
  it("are changed in place, and nothing else is touched", () => {
    const config = { cost: { input_price_per_million_tokens: "3", odd: 1 }, provider_options: { openai: { user: "a" } }, later: [1] };
    const changed = withValue(config, ["cost", "input_price_per_million_tokens"], 4);
    expect(changed).toEqual({ ...config, cost: { input_price_per_million_tokens: 4, odd: 1 } });
    expect(Object.keys(changed)).toEqual(["cost", "provider_options", "later"]);
    expect(withValue(config, ["provider_options", "openai", "store"], false)).toEqual({ ...config, provider_options: { openai: { user: "a", store: false } } });
  });

  it("leave no empty objects behind when they are taken away", () => {
    expect(withValue({ a: 1, provider_options: { openai: { user: "a" } } }, ["provider_options", "openai", "user"], undefined)).toEqual({ a: 1 });
    expect(withValue({}, ["provider_options", "openai", "user"], undefined)).toEqual({});
  });

  it("are found at their path or not at all", () => {
    expect(valueAt({ a: { b: 0 } }, ["a", "b"])).toBe(0);
    expect(valueAt({ a: "text" }, ["a", "b"])).toBeUndefined();
  });

  it("of a kind of provider stand under the key its protocol reads", () => {
    const paths = (type: string) => optionsFor(type).own.map(({ path }) => path.slice(0, 2).join("."));
    expect(new Set(paths("azure"))).toEqual(new Set(["provider_options.openai"]));
    expect(new Set(paths("bedrock"))).toEqual(new Set(["provider_options.anthropic"]));
    expect(new Set(paths("openai-compat"))).toEqual(new Set(["provider_options.openaicompat"]));
    expect(optionsFor("demo").own).toEqual([]);
  });

  it("can be set in a field for everything the kinds of providers understand", () => {
    const known = (type: string) => optionsFor(type).own.map(({ path }) => path.slice(2).join("."));
    expect(known("openai")).toEqual(expect.arrayContaining(["include", "instructions", "logit_bias", "log_probs", "top_log_probs", "max_tool_calls", "prediction", "strict_json_schema", "wire_api"]));
    expect(known("google")).toContain("thinking_config.thinking_level");
    expect(known("openrouter")).toEqual(expect.arrayContaining(["include_usage", "logit_bias", "log_probs", "provider.require_parameters", "provider.quantizations", "extra_body"]));
    expect(known("vercel")).toEqual(expect.arrayContaining(["logit_bias", "logprobs", "top_logprobs", "providerOptions.models"]));
    for (const type of ["openai", "anthropic", "google", "openrouter", "vercel", "openai-compat"]) expect(new Set(known(type)).size, type).toBe(known(type).length);
  });

  it("name the models to fall back to in their order, or not at all", () => {
    const config = withValue({ temperature: 1 }, FALLBACKS.path, (readField(FALLBACKS, "b, a") as { value: unknown }).value);
    expect(config).toEqual({ temperature: 1, fallbacks: ["b", "a"] });
    expect(fieldText(FALLBACKS, valueAt(config, FALLBACKS.path))).toBe("b, a");
    expect(readField(FALLBACKS, "")).toEqual({ value: undefined });
  });
});

describe("what is typed into a field", () => {
  it("becomes a value of the field's kind", () => {
    expect(readField(option("integer"), " 100 ")).toEqual({ value: 100 });
    expect(readField(option("number"), "0,5")).toEqual({ value: 0.5 });
    expect(readField(option("flag"), "false")).toEqual({ value: false });
    expect(readField(option("list"), "a.org, b.org,,\n c.org")).toEqual({ value: ["a.org", "b.org", "c.org"] });
    expect(readField(option("json"), '{"a": 1}')).toEqual({ value: { a: 1 } });
    expect(readField(option("text"), "  ")).toEqual({ value: undefined });
  });

  it("is refused with a reason when it is none", () => {
    const [input] = PRICES as [Option];
    for (const [of, typed] of [[option("integer"), "1.5"], [input, "-1"], [option("number", { max: 2 }), "3"], [option("number"), "many"], [option("json"), "{"]] as const) {
      expect(readField(of, typed)).toHaveProperty("problem");
    }
    expect(readConfig("[1]")).toHaveProperty("problem");
    expect(readConfig("")).toEqual({ config: {} });
  });

  it("stands there again as it was meant", () => {
    for (const [of, value] of [[option("integer"), 3], [option("number"), "3.5"], [option("flag"), true], [option("list"), ["a", "b"]], [option("json"), { a: [1] }], [option("text"), "x"]] as const) {
      const read = readField(of, fieldText(of, value));
      expect(read).toEqual({ value: of.kind === "number" ? Number(value) : value });
    }
  });
});

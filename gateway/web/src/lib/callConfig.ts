// Reading and changing one place in the open object of a model's call options, and turning what was typed into a value. Pure.
import type { CallConfig } from "@/api/modelTypes.ts";
import type { Option } from "./callOptions.ts";

export function valueAt(config: CallConfig, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), config);
}

/** The same with another value at `path`; `undefined` takes it away, and every object that is empty without it. */
export function withValue(config: CallConfig, path: readonly string[], value: unknown): CallConfig {
  const [key, ...rest] = path;
  if (key === undefined) return config;
  const { [key]: old, ...others } = config;
  const next = rest.length === 0 ? value : emptied(withValue(isObject(old) ? old : {}, rest, value));
  if (next === undefined) return others;
  return old === undefined ? { ...config, [key]: next } : Object.fromEntries(Object.entries(config).map(([name, at]) => [name, name === key ? next : at]));
}

const emptied = (config: CallConfig) => (Object.keys(config).length === 0 ? undefined : config);

/** How a value stands in its field. */
export function fieldText(option: Option, value: unknown): string {
  if (value === undefined || value === null) return "";
  if ((option.kind === "list" || option.kind === "models") && Array.isArray(value)) return value.join(", ");
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

/** What was typed, as a value; `undefined` for nothing, and a sentence for what cannot be one. */
export function readField(option: Option, typed: string): { value: unknown } | { problem: string } {
  const text = typed.trim();
  if (text === "") return { value: undefined };
  switch (option.kind) {
    case "integer":
    case "number":
      return readNumber(option, text);
    case "flag":
      return { value: text === "true" };
    case "list":
    case "models":
      return { value: text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean) };
    case "json":
      return readJson(text);
    default:
      return { value: text };
  }
}

function readNumber({ kind, min, max }: Option, text: string): { value: unknown } | { problem: string } {
  const value = Number(text.replace(",", "."));
  if (!Number.isFinite(value)) return { problem: "A number, please." };
  if (kind === "integer" && !Number.isInteger(value)) return { problem: "A whole number, please." };
  if (min !== undefined && value < min) return { problem: `At least ${String(min)}.` };
  if (max !== undefined && value > max) return { problem: `At most ${String(max)}.` };
  return { value };
}

function readJson(text: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: `Not valid JSON: ${error instanceof Error ? error.message : "unreadable"}.` };
  }
}

/** The whole object, from what was typed. */
export function readConfig(text: string): { config: CallConfig } | { problem: string } {
  if (text.trim() === "") return { config: {} };
  const read = readJson(text);
  if ("problem" in read) return read;
  return isObject(read.value) ? { config: read.value } : { problem: "It must be an object: { … }." };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

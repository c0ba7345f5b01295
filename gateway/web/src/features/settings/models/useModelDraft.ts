import { useState } from "react";
import type { CallConfig, ModelConfig, NewModelConfig } from "@/api/modelTypes.ts";
import { fieldText, readConfig, readField, valueAt, withValue } from "@/lib/callConfig.ts";
import { FALLBACKS, type Option, optionsFor, PRICES } from "@/lib/callOptions.ts";

interface Basics {
  display_name: string;
  model: string;
  context_limit: string;
  compression_threshold: string;
}

export interface ModelDraft {
  basics: Basics;
  setBasics: (change: Partial<Basics>) => void;
  textOf: (option: Option) => string;
  problemOf: (option: Option) => string | undefined;
  type: (option: Option, text: string) => void;
  /** The options as JSON, with what was typed into their fields. */
  json: string;
  jsonProblem: string | undefined;
  setJson: (text: string) => void;
  /** What is to be sent; empty when nothing was changed. */
  patch: Partial<NewModelConfig>;
  isSound: boolean;
  discard: () => void;
}

const CONTEXT: Option = { path: [], label: "", kind: "integer", min: 1 };
const PERCENT: Option = { path: [], label: "", kind: "integer", min: 0, max: 100 };
const nameOf = (option: Option) => option.path.join(".");
const pretty = (config: CallConfig) => (Object.keys(config).length === 0 ? "" : JSON.stringify(config, null, 2));

/** A model's settings as they are typed: fields and JSON are two views of the same, and nothing is sent before it is saved. */
export function useModelDraft(model: ModelConfig): ModelDraft {
  const stored = model.model_config ?? {};
  const was: Basics = { display_name: model.display_name, model: model.model, context_limit: String(model.context_limit), compression_threshold: String(model.compression_threshold) };
  const [changed, setChanged] = useState<Partial<Basics>>({});
  /** By the path of their option. */
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const [edited, setEdited] = useState<string | null>(null);
  const basics = { ...was, ...changed };
  const options = [...PRICES, FALLBACKS, ...optionsFor(model.provider).general, ...optionsFor(model.provider).own];
  const readJson = edited === null ? { config: stored } : readConfig(edited);
  const base = "config" in readJson ? readJson.config : stored;

  const textOf = (option: Option) => typed[nameOf(option)] ?? fieldText(option, valueAt(base, option.path));
  const problemOf = (option: Option) => {
    const text = typed[nameOf(option)];
    const read = text === undefined ? undefined : readField(option, text);
    return read && "problem" in read ? read.problem : undefined;
  };
  let config: CallConfig = base;
  for (const option of options) {
    const text = typed[nameOf(option)];
    const read = text === undefined ? undefined : readField(option, text);
    if (read && "value" in read) config = withValue(config, option.path, read.value);
  }
  const context = readField(CONTEXT, basics.context_limit);
  const percent = readField(PERCENT, basics.compression_threshold);
  const isSound = "value" in context && "value" in percent && context.value !== undefined && percent.value !== undefined && basics.model.trim() !== "" && "config" in readJson && !options.some(problemOf);
  const patch: Partial<NewModelConfig> = {
    ...(basics.display_name.trim() !== was.display_name && { display_name: basics.display_name.trim() || basics.model.trim() }),
    ...(basics.model.trim() !== was.model && { model: basics.model.trim() }),
    ...(basics.context_limit !== was.context_limit && { context_limit: Number(basics.context_limit) }),
    ...(basics.compression_threshold !== was.compression_threshold && { compression_threshold: Number(basics.compression_threshold) }),
    ...(JSON.stringify(config) !== JSON.stringify(stored) && { model_config: config }),
  };
  return {
    basics,
    setBasics: (change) => setChanged({ ...changed, ...change }),
    textOf,
    problemOf,
    type: (option, text) => {
      // What stands there already was not typed.
      const { [nameOf(option)]: _, ...others } = typed;
      setTyped(text === fieldText(option, valueAt(base, option.path)) ? others : { ...others, [nameOf(option)]: text });
    },
    json: edited !== null && Object.keys(typed).length === 0 ? edited : pretty(config),
    jsonProblem: "problem" in readJson ? readJson.problem : undefined,
    setJson: (text) => {
      setTyped({});
      setEdited(text);
    },
    patch,
    isSound,
    discard: () => {
      setChanged({});
      setTyped({});
      setEdited(null);
    },
  };
}

// What can be set for every call of a model: which options each kind of provider understands, and reading and changing them in the
// open object the server keeps. Pure; nothing that is not known here is ever dropped.

/** `models`: ids of other models, in order. */
export type OptionKind = "integer" | "number" | "text" | "flag" | "choice" | "list" | "json" | "models";

export interface Option {
  /** Keys from the outside in. */
  path: readonly string[];
  label: string;
  kind: OptionKind;
  /** Of a choice. */
  choices?: readonly string[];
  hint?: string;
  min?: number;
  max?: number;
}

const number = (label: string, path: string, more: Partial<Option> = {}): Option => ({ path: path.split("."), label, kind: "number", ...more });
const integer = (label: string, path: string, more: Partial<Option> = {}): Option => ({ path: path.split("."), label, kind: "integer", min: 0, ...more });
const flag = (label: string, path: string, hint?: string): Option => ({ path: path.split("."), label, kind: "flag", ...(hint && { hint }) });
const choice = (label: string, path: string, choices: string, hint?: string): Option => ({ path: path.split("."), label, kind: "choice", choices: choices.split(" "), ...(hint && { hint }) });
const other = (kind: "text" | "list" | "json", label: string, path: string, hint?: string): Option => ({ path: path.split("."), label, kind, ...(hint && { hint }) });

/** US dollars per million tokens. */
export const PRICES: readonly Option[] = [
  number("Input", "cost.input_price_per_million_tokens", { min: 0 }),
  number("Output", "cost.output_price_per_million_tokens", { min: 0 }),
  number("Cache read", "cost.cache_read_price_per_million_tokens", { min: 0 }),
  number("Cache write", "cost.cache_write_price_per_million_tokens", { min: 0 }),
];

/** Who answers in its place, in this order. */
export const FALLBACKS: Option = { path: ["fallbacks"], label: "Fallbacks", kind: "models" };

const MAX_OUTPUT = integer("Longest answer (tokens)", "max_output_tokens", { min: 1, hint: "Empty: as the model does by itself." });
const TEMPERATURE = number("Temperature", "temperature", { min: 0, max: 2 });
const TOP_P = number("Top P", "top_p", { min: 0, max: 1 });
const TOP_K = integer("Top K", "top_k");
const PENALTIES = [number("Presence penalty", "presence_penalty", { min: -2, max: 2 }), number("Frequency penalty", "frequency_penalty", { min: -2, max: 2 })];
const TOOLS = flag("Offer tools", "tools_enabled", "Off for models that cannot call tools.");

const EFFORTS = "none minimal low medium high xhigh";
const ONLY_COMPLETIONS = "Only by Chat Completions.";
const LOGIT_BIAS = other("json", "Logit bias", "logit_bias", 'From token to bias, such as {"50256": -100}.');

const OPENAI: readonly Option[] = [
  choice("Protocol", "wire_api", "responses chat_completions", "Not set: Responses where the provider has it."),
  choice("Reasoning effort", "reasoning_effort", EFFORTS),
  choice("Reasoning summary", "reasoning_summary", "auto concise detailed"),
  choice("Verbosity", "text_verbosity", "low medium high"),
  choice("Service tier", "service_tier", "auto default flex scale priority"),
  integer("Longest completion (tokens)", "max_completion_tokens", { min: 1, hint: "With its reasoning. Overrides the longest answer." }),
  other("text", "Instructions", "instructions", "Sent beside the prompt. Only by Responses."),
  flag("Tool calls side by side", "parallel_tool_calls"),
  integer("Most tool calls", "max_tool_calls", { min: 1, hint: "Of the provider's own tools. Only by Responses." }),
  flag("Strict schemas of tools", "strict_json_schema", "Where a schema allows it. Only by Responses."),
  flag("Search the web", "web_search_enabled", "By the provider itself."),
  choice("Search context", "search_context_size", "low medium high"),
  other("list", "Search only in", "allowed_domains", "Domains, parted by commas."),
  choice("Computer tool", "computer_tool", "computer computer_use_preview", "Not set: by the model's name. Only by Responses."),
  flag("Keep at the provider", "store"),
  other("text", "Prompt cache key", "prompt_cache_key"),
  other("text", "Safety identifier", "safety_identifier"),
  other("text", "User", "user"),
  other("list", "Include", "include", "What comes besides the answer, parted by commas. Only by Responses."),
  flag("Log probabilities", "log_probs"),
  integer("Log probabilities of so many tokens", "top_log_probs", { max: 20 }),
  other("json", "Metadata", "metadata"),
  { ...LOGIT_BIAS, hint: `${LOGIT_BIAS.hint ?? ""} ${ONLY_COMPLETIONS}` },
  other("json", "Prediction", "prediction", ONLY_COMPLETIONS),
];
const ANTHROPIC: readonly Option[] = [
  choice("Effort", "effort", "low medium high xhigh max"),
  integer("Thinking budget (tokens)", "thinking.budget_tokens", { min: 1024, hint: "Empty: as the effort says." }),
  flag("Send back its reasoning", "send_reasoning"),
  flag("One tool call at a time", "disable_parallel_tool_use"),
  flag("Search the web", "web_search_enabled", "By the provider itself."),
  other("list", "Search only in", "allowed_domains", "Domains, parted by commas. Not together with the next."),
  other("list", "Never search in", "blocked_domains"),
];
const GOOGLE: readonly Option[] = [
  choice("Thinking level", "thinking_config.thinking_level", `${EFFORTS} max`, "Gemini 3 and later; rounded up to a level the model has. A budget goes before it."),
  integer("Thinking budget (tokens)", "thinking_config.thinking_budget", { min: -1, hint: "0: none. -1: as the model likes." }),
  flag("Show its thoughts", "thinking_config.include_thoughts"),
  flag("Search the web", "web_search_enabled", "By the provider itself."),
  other("text", "Cached content", "cached_content"),
  other("text", "Safety threshold", "threshold"),
  other("json", "Safety settings", "safety_settings", 'A list such as [{"category": "…", "threshold": "…"}].'),
];
const COMPATIBLE: readonly Option[] = [choice("Reasoning effort", "reasoning_effort", EFFORTS), other("text", "User", "user")];
const REASONING = [
  flag("Reasoning", "reasoning.enabled"),
  choice("Reasoning effort", "reasoning.effort", EFFORTS),
  integer("Reasoning budget (tokens)", "reasoning.max_tokens", { min: 1 }),
  flag("Leave its reasoning out", "reasoning.exclude"),
];
const OPENROUTER: readonly Option[] = [
  ...REASONING,
  other("list", "Providers in this order", "provider.order", "Names, parted by commas."),
  flag("Fall back to others", "provider.allow_fallbacks"),
  other("list", "Only these providers", "provider.only"),
  other("list", "Never these providers", "provider.ignore"),
  choice("Data collection", "provider.data_collection", "allow deny"),
  choice("Sort by", "provider.sort", "price throughput latency"),
  flag("Only who knows all options", "provider.require_parameters"),
  other("list", "Quantizations", "provider.quantizations", "Such as fp8, parted by commas."),
  flag("Tool calls side by side", "parallel_tool_calls"),
  flag("Tell what it costs", "include_usage"),
  flag("Log probabilities", "log_probs"),
  other("text", "User", "user"),
  LOGIT_BIAS,
  other("json", "Extra fields of the request", "extra_body"),
];
const VERCEL: readonly Option[] = [
  ...REASONING,
  other("list", "Providers in this order", "providerOptions.order", "Names, parted by commas."),
  other("list", "Models to fall back to", "providerOptions.models"),
  flag("Tool calls side by side", "parallel_tool_calls"),
  flag("Log probabilities", "logprobs"),
  integer("Log probabilities of so many tokens", "top_logprobs", { max: 20 }),
  other("text", "User", "user"),
  LOGIT_BIAS,
  other("json", "Extra fields of the request", "extra_body"),
];

interface Family {
  /** The key of its own options. */
  key: string;
  name: string;
  options: readonly Option[];
  general: readonly Option[];
}

const FULL = [MAX_OUTPUT, TEMPERATURE, TOP_P, TOP_K, ...PENALTIES, TOOLS];
const FAMILIES: Record<string, Family> = {
  openai: { key: "openai", name: "OpenAI", options: OPENAI, general: [MAX_OUTPUT, TEMPERATURE, TOP_P, ...PENALTIES, TOOLS] },
  anthropic: { key: "anthropic", name: "Anthropic", options: ANTHROPIC, general: [MAX_OUTPUT, TEMPERATURE, TOP_P, TOP_K, TOOLS] },
  google: { key: "google", name: "Google", options: GOOGLE, general: FULL },
  openrouter: { key: "openrouter", name: "OpenRouter", options: OPENROUTER, general: FULL },
  vercel: { key: "vercel", name: "Vercel AI Gateway", options: VERCEL, general: FULL },
  "openai-compat": { key: "openaicompat", name: "OpenAI-compatible servers", options: COMPATIBLE, general: FULL },
};
const SAME_AS: Record<string, string> = { azure: "openai", bedrock: "anthropic" };

export interface OptionGroups {
  general: readonly Option[];
  /** Those only this kind of provider has; their paths begin at the top. */
  own: readonly Option[];
  /** Whose they are, for people. */
  ownName: string;
}

/** What a form offers for models of this provider type. */
export function optionsFor(type: string): OptionGroups {
  const family = FAMILIES[SAME_AS[type] ?? type];
  if (family === undefined) return { general: [TOOLS], own: [], ownName: "" };
  const own = family.options.map((option) => ({ ...option, path: ["provider_options", family.key, ...option.path] }));
  return { general: family.general, own, ownName: family.name };
}

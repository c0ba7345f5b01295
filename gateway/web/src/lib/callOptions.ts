// What can be set for every call of a model: which options each kind of provider understands, and reading and changing them in the
// open object the server keeps. Pure; nothing that is not known here is ever dropped.

export type OptionKind = "integer" | "number" | "text" | "flag" | "choice" | "list" | "json";

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

const MAX_OUTPUT = integer("Longest answer (tokens)", "max_output_tokens", { min: 1, hint: "Empty: as the model does by itself." });
const TEMPERATURE = number("Temperature", "temperature", { min: 0, max: 2 });
const TOP_P = number("Top P", "top_p", { min: 0, max: 1 });
const TOP_K = integer("Top K", "top_k");
const PENALTIES = [number("Presence penalty", "presence_penalty", { min: -2, max: 2 }), number("Frequency penalty", "frequency_penalty", { min: -2, max: 2 })];
const TOOLS = flag("Offer tools", "tools_enabled", "Off for models that cannot call tools.");

const OPENAI: readonly Option[] = [
  choice("Reasoning effort", "reasoning_effort", "none minimal low medium high xhigh"),
  choice("Reasoning summary", "reasoning_summary", "auto concise detailed"),
  choice("Verbosity", "text_verbosity", "low medium high"),
  choice("Service tier", "service_tier", "auto default flex scale priority"),
  integer("Longest completion (tokens)", "max_completion_tokens", { min: 1, hint: "With its reasoning. Overrides the longest answer." }),
  flag("Tool calls side by side", "parallel_tool_calls"),
  flag("Search the web", "web_search_enabled", "By the provider itself."),
  choice("Search context", "search_context_size", "low medium high"),
  other("list", "Search only in", "allowed_domains", "Domains, parted by commas."),
  flag("Keep at the provider", "store"),
  other("text", "Prompt cache key", "prompt_cache_key"),
  other("text", "Safety identifier", "safety_identifier"),
  other("text", "User", "user"),
  other("json", "Metadata", "metadata"),
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
  integer("Thinking budget (tokens)", "thinking_config.thinking_budget", { min: -1, hint: "0: none. -1: as the model likes." }),
  flag("Show its thoughts", "thinking_config.include_thoughts"),
  flag("Search the web", "web_search_enabled", "By the provider itself."),
  other("text", "Cached content", "cached_content"),
  other("text", "Safety threshold", "threshold"),
  other("json", "Safety settings", "safety_settings", 'A list such as [{"category": "…", "threshold": "…"}].'),
];
const COMPATIBLE: readonly Option[] = [choice("Reasoning effort", "reasoning_effort", "none minimal low medium high xhigh"), other("text", "User", "user")];
const REASONING = [
  flag("Reasoning", "reasoning.enabled"),
  choice("Reasoning effort", "reasoning.effort", "minimal low medium high"),
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
  flag("Tool calls side by side", "parallel_tool_calls"),
  other("text", "User", "user"),
  other("json", "Extra fields of the request", "extra_body"),
];
const VERCEL: readonly Option[] = [
  ...REASONING,
  other("list", "Providers in this order", "providerOptions.order", "Names, parted by commas."),
  other("list", "Models to fall back to", "providerOptions.models"),
  flag("Tool calls side by side", "parallel_tool_calls"),
  other("text", "User", "user"),
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

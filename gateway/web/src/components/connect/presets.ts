// Well-known providers, so that pasting a key is enough. Pure data and guesses; the server has the last word.

export interface Preset {
  id: string;
  name: string;
  /** Provider type at the server. */
  type: string;
  /** Where it is, for what the server knows no address of; absent: the server's own for this type. */
  baseUrl?: string;
  /** What an address that the reader gives looks like; absent: nothing is asked. */
  address?: { placeholder: string; hint: string; isRequired: boolean };
  /** How its keys begin, when that tells it apart. */
  keyPrefix: string | null;
  /** Model names to prefer as default, best first; matched as beginnings. */
  preferred: readonly string[];
  /** What stands in for a key, for those that can do without one. */
  withoutKey?: string;
}

export const PRESETS: readonly Preset[] = [
  { id: "openrouter", name: "OpenRouter", type: "openrouter", keyPrefix: "sk-or-", preferred: ["openrouter/auto"] },
  { id: "anthropic", name: "Anthropic", type: "anthropic", keyPrefix: "sk-ant-", preferred: ["claude-sonnet", "claude"] },
  { id: "groq", name: "Groq", type: "openai-compat", baseUrl: "https://api.groq.com/openai/v1", keyPrefix: "gsk_", preferred: ["openai/gpt-oss", "llama"] },
  { id: "google", name: "Google Gemini", type: "google", keyPrefix: "AIza", preferred: ["gemini-2.5-pro", "models/gemini-2.5-pro", "gemini", "models/gemini"] },
  { id: "vercel", name: "Vercel AI Gateway", type: "vercel", keyPrefix: "vck_", preferred: ["anthropic/claude-sonnet", "openai/gpt-5"] },
  { id: "mistral", name: "Mistral", type: "openai-compat", baseUrl: "https://api.mistral.ai/v1", keyPrefix: null, preferred: ["mistral-large"] },
  {
    id: "azure",
    name: "Azure OpenAI",
    type: "azure",
    address: { placeholder: "https://my-resource.openai.azure.com", hint: "The endpoint of your resource, as the Azure portal shows it.", isRequired: true },
    keyPrefix: null,
    preferred: ["gpt-5", "gpt-4.1", "gpt-4o"],
  },
  {
    id: "bedrock",
    name: "AWS Bedrock",
    type: "bedrock",
    address: { placeholder: "https://bedrock-runtime.eu-central-1.amazonaws.com", hint: "Only for another region than the server's default.", isRequired: false },
    keyPrefix: "ABSK",
    withoutKey: "Without one it is asked with the AWS credentials of the machine Tandem runs on.",
    preferred: ["anthropic.claude-sonnet", "us.anthropic.claude", "anthropic.claude"],
  },
  { id: "openai", name: "OpenAI", type: "openai", keyPrefix: "sk-", preferred: ["gpt-5", "gpt-4.1", "gpt-4o"] },
];

export const OPENAI: Preset = PRESETS.find((preset) => preset.id === "openai") as Preset;

/** What is asked with the sign-in of whoever uses a program. The names carry the meaning at the server. */
export const SIGN_INS = [
  { name: "chatgpt", type: "openai", title: "ChatGPT subscription" },
  { name: "copilot", type: "copilot", title: "GitHub Copilot" },
  { name: "copilot-business", type: "copilot", title: "GitHub Copilot Business" },
  { name: "copilot-enterprise", type: "copilot", title: "GitHub Copilot Enterprise" },
] as const;

/** The provider a key most likely belongs to; the more telling prefixes come first. */
export function guessPreset(key: string): Preset | null {
  return PRESETS.find((preset) => preset.keyPrefix !== null && key.startsWith(preset.keyPrefix)) ?? null;
}

export function preferredModel(models: readonly string[], preferred: readonly string[]): string {
  for (const prefix of preferred) {
    const found = models.find((model) => model === prefix) ?? models.find((model) => model.startsWith(prefix));
    if (found !== undefined) return found;
  }
  return models[0] ?? "";
}

/** Context windows by name; what is unknown gets a size nearly every server accepts. */
const LIMITS: readonly (readonly [RegExp, number])[] = [
  [/gpt-5/i, 400_000],
  [/gpt-4\.1|gemini/i, 1_000_000],
  [/claude/i, 200_000],
  [/gpt-4o|mistral-large|llama-?3|demo|qwen|gpt-oss/i, 128_000],
  [/smollm/i, 2_048],
];
export const DEFAULT_CONTEXT_LIMIT = 32_768;

export function contextLimitFor(model: string): number {
  return LIMITS.find(([pattern]) => pattern.test(model))?.[1] ?? DEFAULT_CONTEXT_LIMIT;
}

export const SERVER_NAMES: Record<string, string> = { ollama: "Ollama", llamacpp: "llama.cpp", vllm: "vLLM", lmstudio: "LM Studio" };

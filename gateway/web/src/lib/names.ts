// What models and providers are called on screen, the same everywhere. Pure.
import type { ModelConfig, Provider } from "@/api/modelTypes.ts";

/** The built-in demo model must never be taken for a language model, whatever it was named when it was connected. */
export const DEMO_TYPE = "demo";
export const DEMO_NAME = "Demo (scripted)";
/** Names that older versions gave it by themselves. */
const GIVEN_BY_ITSELF = new Set(["", "Demo", "tandem-demo"]);

export function modelName(model: Pick<ModelConfig, "provider" | "model" | "display_name">): string {
  if (model.provider === DEMO_TYPE && GIVEN_BY_ITSELF.has(model.display_name)) return DEMO_NAME;
  return model.display_name || model.model;
}

export function providerName(provider: Pick<Provider, "type" | "name" | "display_name">): string {
  if (provider.type === DEMO_TYPE && GIVEN_BY_ITSELF.has(provider.display_name)) return DEMO_NAME;
  return provider.display_name || provider.name;
}

/** What the types of providers are called. */
const TYPE_NAMES: Record<string, string> = {
  anthropic: "Anthropic",
  azure: "Azure OpenAI",
  bedrock: "AWS Bedrock",
  copilot: "GitHub Copilot",
  demo: "Built in",
  google: "Google Gemini",
  openai: "OpenAI",
  "openai-compat": "OpenAI-compatible",
  openrouter: "OpenRouter",
  vercel: "Vercel AI Gateway",
};

export const typeName = (type: string): string => TYPE_NAMES[type] ?? type;

/** Whether a provider of this type answers nobody without a key of its own. GitHub Copilot is asked with what each user's program brings. */
export const needsKey = (type: string): boolean => ![DEMO_TYPE, "openai-compat", "copilot"].includes(type);

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

/** The one provider of OpenAI's kind that is asked with people's own subscriptions; the server tells it by this name. */
const CHATGPT = "chatgpt";

/** Whether it is only asked for programs whose users are signed in there themselves: it has no keys, and no chat can use it. */
export const isUsersOwn = ({ type, name }: Pick<Provider, "type" | "name">): boolean => type === "copilot" || (type === "openai" && name === CHATGPT);

/** Where programs ask such a provider. That of Copilot has no version. */
export const programAddress = ({ type, name }: Pick<Provider, "type" | "name">): string => `/api/v2/aibridge/${name}${type === "copilot" ? "" : "/v1"}`;

/** Whether a provider answers nobody without a key of its own. AWS also knows the credentials of machines. */
export const needsKey = (provider: Pick<Provider, "type" | "name">): boolean => ![DEMO_TYPE, "openai-compat", "bedrock"].includes(provider.type) && !isUsersOwn(provider);

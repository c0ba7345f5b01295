// Why a turn failed, for people: whose fault it is and what to do next. Pure; one text for every kind of error.
import type { ChatError } from "@/api/types.ts";
import { DEMO_NAME } from "@/lib/names.ts";

export interface Failure {
  title: string;
  next: string;
  /** Trying the same again makes sense. */
  canRetry: boolean;
  /** The cause is in the model settings. */
  inSettings: boolean;
  /** The cause is what the reader has spent. */
  inUsage?: boolean;
}

type Text = Omit<Failure, "canRetry"> & { canRetry?: boolean };

const KINDS: Record<string, (who: string) => Text> = {
  overloaded: (who) => ({ title: `${who} is overloaded`, next: "Nothing is wrong on your side. Try again in a moment, or choose another model.", inSettings: false }),
  rate_limit: (who) => ({ title: `${who} limits how often it may be asked`, next: "Wait a moment and try again, or choose another model.", inSettings: false }),
  timeout: (who) => ({ title: `${who} did not answer`, next: "It is not running, cannot be reached, or took too long. Try again.", inSettings: false }),
  startup_timeout: (who) => ({ title: `${who} did not begin to answer`, next: "It may be starting or overloaded. Try again in a moment.", inSettings: false }),
  stream_silence_timeout: (who) => ({ title: `${who} fell silent in mid-answer`, next: "What it had written is kept. Try again.", inSettings: false }),
  auth: (who) => ({ title: `${who} rejected the API key`, next: "The key is wrong, expired or lacks rights. Replace it in the settings, then try again.", inSettings: true }),
  config: (who) => ({ title: `${who} refused the request`, next: "The model's settings do not suit it. Check them, or choose another model.", inSettings: true }),
  usage_limit: (who) => ({ title: `The account at ${who} has no credit left`, next: "Add credit there, or choose another model.", inSettings: false }),
  missing_key: (who) => ({ title: `${who} has no API key`, next: "Add one in the settings, then try again.", inSettings: true }),
  provider_disabled: (who) => ({ title: `${who} is switched off`, next: "Switch it on in the settings, or choose another model.", inSettings: true }),
  content_filter: (who) => ({ title: `${who} declined to answer`, next: "Its content filter stopped the answer. Rephrase, or choose another model.", inSettings: false, canRetry: false }),
};

const OTHER = (who: string): Text => ({ title: "The turn failed", next: `It stopped while ${who} was answering. Everything before is kept. Try again.`, inSettings: false });

/** A limit of Tandem's own; a provider's refusal comes with its status. */
const SPENT_UP: Failure = {
  title: "Your spending limit is reached",
  next: "The turn ended here, and everything before is kept. It can go on when the next period begins, or when an administrator raises the limit.",
  canRetry: true,
  inSettings: false,
  inUsage: true,
};

export function explainFailure(error: ChatError): Failure {
  if (error.kind === "usage_limit" && !error.status_code) return SPENT_UP;
  const text = (KINDS[error.kind ?? ""] ?? OTHER)(providerName(error.provider));
  return { canRetry: true, ...text };
}

const NAMES: Record<string, string> = {
  openai: "OpenAI",
  anthropic: "Anthropic",
  google: "Google",
  openrouter: "OpenRouter",
  azure: "Azure",
  bedrock: "Bedrock",
  vercel: "Vercel",
  copilot: "GitHub Copilot",
  demo: DEMO_NAME,
};

export function providerName(provider: string | undefined): string {
  return NAMES[provider ?? ""] ?? "The model server";
}

/** The facts of an error as names and values, for those who want to know. */
export function failureFacts(error: ChatError): [name: string, value: string][] {
  const facts: [string, string | undefined][] = [
    ["Kind", error.kind?.replaceAll("_", " ")],
    ["Provider", error.provider && (NAMES[error.provider] ?? error.provider)],
    ["Status", error.status_code ? String(error.status_code) : undefined],
    ["Retryable", error.retryable ? "yes" : "no"],
  ];
  return facts.flatMap(([name, value]) => (value ? [[name, value]] : []));
}

/** Everything known about an error, as text to paste into a report. */
export function failureReport(error: ChatError, chatId: string): string {
  const lines: [string, string | number | boolean | undefined][] = [
    ["chat", chatId],
    ["kind", error.kind],
    ["provider", error.provider],
    ["status", error.status_code],
    ["retryable", error.retryable],
    ["message", error.message],
    ["detail", error.detail],
  ];
  return lines.flatMap(([name, value]) => (value === undefined || value === "" ? [] : [`${name}: ${String(value)}`])).join("\n");
}

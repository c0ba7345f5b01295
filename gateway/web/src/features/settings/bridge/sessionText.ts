// What sessions are called and what they used, in words. Pure.
import type { TokenSums } from "@/api/bridge.ts";
import { count } from "@/lib/money.ts";

export const clientName = (client: string | null | undefined): string => client || "Unknown client";

export function firstLine(text: string | null | undefined): string {
  return text?.split("\n").find((line) => line.trim() !== "")?.trim() ?? "";
}

/** "12k in, 480 out"; empty when nothing was counted. */
export function tokensLine({ input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens }: TokenSums): string {
  const taken = input_tokens + cache_read_input_tokens + cache_write_input_tokens;
  return taken + output_tokens === 0 ? "" : `${count(taken)} in, ${count(output_tokens)} out`;
}

/** Tool arguments, laid out when they are JSON. */
export function prettyInput(input: string): { code: string; language: string } {
  try {
    return { code: JSON.stringify(JSON.parse(input), null, 2), language: "json" };
  } catch {
    return { code: input, language: "text" };
  }
}

const SOURCES: Record<string, string> = { thinking: "Thought", reasoning_summary: "Reasoning, summarized", commentary: "Commentary" };
export const sourceName = (source: string): string => SOURCES[source] ?? source;

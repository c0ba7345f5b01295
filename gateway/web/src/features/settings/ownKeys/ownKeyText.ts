// What a key of one's own, or the lack of it, means. Pure.
import type { OwnKey } from "@/api/ownKeys.ts";

export interface OwnKeyText {
  text: string;
  /** Its models answer nothing until a key is set. */
  isMissing: boolean;
}

export function ownKeyText({ provider, has_user_api_key, has_provider_api_key, byok_enabled }: OwnKey): OwnKeyText {
  if (has_user_api_key && !byok_enabled) return { text: "No longer used: this provider takes no keys of users.", isMissing: false };
  if (has_user_api_key) return { text: provider.enabled ? "answers for you" : "kept until it is switched on again", isMissing: false };
  if (has_provider_api_key) return { text: "Without one of yours, the key of this Tandem answers for you.", isMissing: false };
  return { text: "Its models answer you only with a key of your own.", isMissing: provider.enabled };
}

/** The server takes no more. */
export const MAX_KEY_BYTES = 10_240;

/** What stands against a typed key; `undefined` for nothing. */
export function keyProblem(typed: string): string | undefined {
  if (/\s/.test(typed.trim())) return "A key has no spaces in it.";
  return new TextEncoder().encode(typed.trim()).length > MAX_KEY_BYTES ? "That is too long for a key." : undefined;
}

// The tokenizers that have been fetched. Readers subscribe; a language that cannot be fetched stays plain text.
import { type Language, loadParser, type Parser } from "./languages.ts";

const parsers = new Map<Language, Parser>();
const asked = new Set<Language>();
const listeners = new Set<() => void>();

export const parserOf = (language: Language | null): Parser | null => (language === null ? null : (parsers.get(language) ?? null));

export function onParsers(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Fetches a tokenizer once; after a failure the next text that wants it asks again. */
export async function fetchParser(language: Language): Promise<void> {
  if (asked.has(language)) return;
  asked.add(language);
  try {
    parsers.set(language, await loadParser(language));
    for (const listener of listeners) listener();
  } catch {
    asked.delete(language);
  }
}

// What text is coloured with, as far as it has been fetched. Readers subscribe; a language that cannot be fetched stays plain text.
import type { Painter } from "./colour.ts";
import { type Language, loadParser } from "./languages.ts";

const painters = new Map<Language, Painter>();
const asked = new Set<Language>();
const listeners = new Set<() => void>();

export const painterFor = (language: Language | null): Painter | null => (language === null ? null : (painters.get(language) ?? null));

export function onPainters(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Fetches a tokenizer, and with the first what goes over its words, once; after a failure the next text that wants it asks again. */
export async function fetchPainter(language: Language): Promise<void> {
  if (asked.has(language)) return;
  asked.add(language);
  try {
    const [parser, { painterOf }] = await Promise.all([loadParser(language), import("./colour.ts")]);
    painters.set(language, painterOf(parser));
    for (const listener of listeners) listener();
  } catch {
    asked.delete(language);
  }
}

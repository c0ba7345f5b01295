// The reader of Markdown, fetched beside the page of a chat and not as a part of it: words are there before their looks are.
import type { Parsed } from "./markdown.ts";

type Parse = (text: string) => Parsed;

let parse: Parse | null = null;
let isAsked = false;
const listeners = new Set<() => void>();

/** `null` until it is there. */
export const markdownParser = (): Parse | null => parse;

export function onMarkdownParser(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Fetches it once; after a failure whoever wants it next asks again. */
export async function fetchMarkdownParser(): Promise<void> {
  if (isAsked) return;
  isAsked = true;
  try {
    parse = (await import("./markdown.ts")).parseMarkdown;
    for (const listener of listeners) listener();
  } catch {
    isAsked = false;
  }
}

import { useEffect, useSyncExternalStore } from "react";
import { fetchParser, onParsers, parserOf } from "@/lib/highlight/parsers.ts";
import type { Language, Parser } from "@/lib/highlight/languages.ts";

/** The language's tokenizer once it is there; until then, and for unknown languages, `null`. */
export function useParser(language: Language | null): Parser | null {
  const parser = useSyncExternalStore(onParsers, () => parserOf(language));
  useEffect(() => {
    if (language !== null) void fetchParser(language);
  }, [language]);
  return parser;
}

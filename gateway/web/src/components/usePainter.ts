import { useEffect, useSyncExternalStore } from "react";
import type { Painter } from "@/lib/highlight/colour.ts";
import type { Language } from "@/lib/highlight/languages.ts";
import { fetchPainter, onPainters, painterFor } from "@/lib/highlight/painters.ts";

/** What colours the language once it is there; until then, and for unknown languages, `null`. */
export function usePainter(language: Language | null): Painter | null {
  const painter = useSyncExternalStore(onPainters, () => painterFor(language));
  useEffect(() => {
    if (language !== null) void fetchPainter(language);
  }, [language]);
  return painter;
}

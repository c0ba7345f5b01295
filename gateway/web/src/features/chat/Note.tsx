import { pretty } from "@/lib/open.ts";
import type { NoteRow } from "@/stream/timeline.ts";

/** Quiet facts; what this version does not understand can still be looked at. */
export function Note({ row }: { row: NoteRow }) {
  if (row.raw === undefined) return <p className="text-xs text-faint">{row.label}</p>;
  return (
    <details className="text-xs text-faint">
      <summary className="cursor-pointer">{row.label} is not known to this version</summary>
      <pre className="mt-1.5 max-h-60 overflow-auto rounded-md border border-line bg-sunken p-3 font-mono wrap-anywhere whitespace-pre-wrap">{pretty(row.raw)}</pre>
    </details>
  );
}

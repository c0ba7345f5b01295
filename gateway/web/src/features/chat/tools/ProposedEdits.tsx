import { useMemo } from "react";
import { DiffView } from "@/components/DiffView.tsx";
import { proposedDiff } from "@/lib/diff.ts";
import { proposedEdits } from "./proposed.ts";

/** What an edit would change, file by file: nothing has happened yet, so nobody knows the lines. */
export function ProposedEdits({ args }: { args: unknown }) {
  const files = useMemo(() => proposedEdits(args).map(({ path, edits }) => ({ path, diff: proposedDiff(edits) })), [args]);
  return (
    <div className="divide-y divide-line">
      {files.map(({ path, diff }) => (
        <div key={path}>
          <div className="flex min-h-9 items-center gap-3 bg-sunken px-3.5 text-xs">
            <span className="min-w-0 flex-1 font-mono wrap-anywhere text-muted">{path}</span>
            <span className="text-add-ink tabular-nums">+{diff.added}</span>
            <span className="text-del-ink tabular-nums">−{diff.removed}</span>
          </div>
          <DiffView lines={diff.lines} label={`Changes in ${path}`} path={path} />
        </div>
      ))}
    </div>
  );
}

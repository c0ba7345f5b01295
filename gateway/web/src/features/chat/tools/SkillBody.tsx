import { Markdown } from "@/components/Markdown.tsx";
import { list, open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { GenericBody } from "./GenericBody.tsx";

/** A skill's instructions as they read, and what lies beside them. */
export function SkillBody({ row }: { row: ToolRow }) {
  const result = open(row.result);
  const body = str(result["body"]) || str(result["content"]);
  const files = list(result["files"]).map(str).filter(Boolean);
  if (body === "") return <GenericBody row={row} />;
  return (
    <div className="px-4 py-3">
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard */}
      <div role="region" aria-label="Instructions" tabIndex={0} className="max-h-96 overflow-auto">
        <Markdown text={body} />
      </div>
      {files.length > 0 ? <p className="mt-3 border-t border-line pt-2 text-xs text-muted">Beside it: {files.join(", ")}</p> : null}
      {str(result["dir"]) === "" ? null : <p className="mt-1 font-mono text-xs wrap-anywhere text-faint">{str(result["dir"])}</p>}
    </div>
  );
}

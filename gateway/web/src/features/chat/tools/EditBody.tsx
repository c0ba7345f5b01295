import { useMemo } from "react";
import { CopyButton } from "@/components/CopyButton.tsx";
import { DiffView } from "@/components/DiffView.tsx";
import { classes } from "@/lib/classes.ts";
import { parseDiff } from "@/lib/diff.ts";
import { list, open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { GenericBody } from "./GenericBody.tsx";
import { editedPaths } from "./summary.ts";

/** What an edit changed, file by file. */
export function EditBody({ row }: { row: ToolRow }) {
  const files = useMemo(
    () => list(open(row.result)["files"]).map((file) => ({ path: str(open(file)["path"]), diff: str(open(file)["diff"]) })),
    [row.result],
  );
  if (files.length > 0) {
    return (
      <div className="divide-y divide-line">
        {files.map((file, index) => (
          <FileDiff key={file.path || index} path={file.path} diff={file.diff} isOnly={files.length === 1} />
        ))}
      </div>
    );
  }
  const paths = editedPaths(row);
  if (row.state !== "running" || paths.length === 0) return <GenericBody row={row} />;
  return (
    <ul className="px-3.5 py-2.5 font-mono text-[12.5px] text-muted">
      {paths.map((path) => (
        <li key={path}>{path}</li>
      ))}
    </ul>
  );
}

/** The card itself already names an only file. */
function FileDiff({ path, diff, isOnly }: { path: string; diff: string; isOnly: boolean }) {
  const { lines, added, removed } = useMemo(() => parseDiff(diff), [diff]);
  return (
    <div>
      <div className={classes("h-9 items-center gap-3 bg-sunken pr-1 pl-3.5 text-xs", isOnly ? "hidden" : "flex")}>
        <span className="min-w-0 flex-1 truncate font-mono text-muted" title={path}>
          {path}
        </span>
        <span className="text-add-ink tabular-nums">+{added}</span>
        <span className="text-del-ink tabular-nums">−{removed}</span>
        <CopyButton text={diff} label="Copy diff" />
      </div>
      {lines.length > 0 ? <DiffView lines={lines} label={`Changes in ${path}`} path={path} /> : <p className="px-3.5 py-2 text-xs text-faint">No textual change.</p>}
    </div>
  );
}

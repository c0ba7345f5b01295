import { useMemo } from "react";
import { list, open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { FileDiff } from "../FileDiff.tsx";
import { GenericBody } from "./GenericBody.tsx";
import { ProposedEdits } from "./ProposedEdits.tsx";
import { editedPaths } from "./summary.ts";

/** What an edit changed, or would change, file by file. */
export function EditBody({ row }: { row: ToolRow }) {
  const files = useMemo(
    () => list(open(row.result)["files"]).map((file) => ({ path: str(open(file)["path"]), diff: str(open(file)["diff"]) })),
    [row.result],
  );
  if (files.length > 0) {
    return (
      <div className="divide-y divide-line">
        {/* The card itself names an only file. */}
        {files.map((file, index) => (
          <FileDiff key={file.path || index} path={file.path} diff={file.diff} isNamed={files.length === 1} />
        ))}
      </div>
    );
  }
  const paths = editedPaths(row);
  if (row.state === "awaiting" && paths.length > 0) return <ProposedEdits args={row.args} />;
  if (row.state !== "running" || paths.length === 0) return <GenericBody row={row} />;
  return (
    <ul className="px-3.5 py-2.5 font-mono text-[12.5px] text-muted">
      {paths.map((path) => (
        <li key={path}>{path}</li>
      ))}
    </ul>
  );
}

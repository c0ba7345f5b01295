// What the agent's own edits changed, file by file. Pure: it tells what was done, not what stands in the files now.
import { list, open, str } from "@/lib/open.ts";
import type { Row } from "@/stream/timeline.ts";

export interface FileEdits {
  path: string;
  /** Unified diffs, oldest first. */
  diffs: readonly string[];
  /** How often the whole file was written anew. */
  written: number;
}

/** In the order in which files were first touched. */
export function editsOf(rows: readonly Row[]): readonly FileEdits[] {
  const files = new Map<string, { path: string; diffs: string[]; written: number }>();
  const at = (path: string) => {
    const known = files.get(path) ?? { path, diffs: [], written: 0 };
    files.set(path, known);
    return known;
  };
  for (const row of rows) {
    if (row.kind !== "tool" || row.state !== "done") continue;
    if (row.name === "write_file" && str(open(row.args)["path"]) !== "") at(str(open(row.args)["path"])).written += 1;
    if (row.name === "edit_files") {
      for (const file of list(open(row.result)["files"]).map(open)) {
        if (str(file["path"]) !== "" && str(file["diff"]) !== "") at(str(file["path"])).diffs.push(str(file["diff"]));
      }
    }
  }
  return [...files.values()];
}

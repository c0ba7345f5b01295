// The edits a call asks for, by file: models send them grouped by file, or as one list in which each edit names its file. Pure.
import type { Proposal } from "@/lib/diff.ts";
import { list, open, str } from "@/lib/open.ts";

export interface ProposedFile {
  path: string;
  edits: readonly Proposal[];
}

/** In the order in which files are first named. */
export function proposedEdits(args: unknown): ProposedFile[] {
  const { files, edits } = open(args);
  const grouped = list(files).map((file) => ({ path: str(open(file)["path"]), edits: list(open(file)["edits"]) }));
  const single = list(edits).map((edit) => ({ path: str(open(edit)["path"]), edits: [edit] }));
  const byPath = new Map<string, Proposal[]>();
  for (const { path, edits: more } of [...grouped, ...single]) byPath.set(path, [...(byPath.get(path) ?? []), ...more.map(proposal)]);
  return [...byPath].map(([path, all]) => ({ path, edits: all }));
}

function proposal(edit: unknown): Proposal {
  const { search, replace, replace_all: isEverywhere } = open(edit);
  return { search: str(search), replace: str(replace), note: isEverywhere === true ? "wherever it stands" : "" };
}

// Takes a patch of many files apart, as `git diff` writes it. Pure.

export interface FilePatch {
  path: string;
  /** Where the file was before, when it was moved. */
  movedFrom: string | null;
  kind: "added" | "removed" | "changed" | "binary";
  /** The part of the patch that is about this file, for `parseDiff` and for copying. */
  text: string;
}

const START = /^diff --git /m;

/** Texts before the first file, such as a sentence why there is no patch, are not part of the answer. */
export function splitPatch(patch: string): readonly FilePatch[] {
  const first = patch.search(START);
  if (first < 0) return [];
  return patch
    .slice(first)
    .split(/^(?=diff --git )/m)
    .map(onePatch);
}

function onePatch(text: string): FilePatch {
  const hunks = text.search(/^@@ /m);
  const head = hunks < 0 ? text : text.slice(0, hunks);
  const after = lineOf(head, "+++ ");
  const before = lineOf(head, "--- ");
  const movedFrom = lineOf(head, "rename from ");
  const path = lineOf(head, "rename to ") ?? (after === "/dev/null" ? null : after) ?? before ?? pathOf(head);
  const isBinary = /^(?:Binary files |GIT binary patch)/m.test(head);
  const kind = isBinary ? "binary" : /^new file mode/m.test(head) ? "added" : /^deleted file mode/m.test(head) ? "removed" : "changed";
  return { path, movedFrom, kind, text };
}

/** The rest of the line that begins so, as a path. */
function lineOf(head: string, start: string): string | null {
  const line = head.split("\n").find((one) => one.startsWith(start));
  return line === undefined ? null : plain(line.slice(start.length));
}

/** Without the side it belongs to, without the tab git puts behind names with spaces, and without its quotes. */
function plain(written: string): string {
  const name = written.replace(/\t$/, "").replace(/\r$/, "");
  const bare = name.startsWith('"') && name.endsWith('"') ? name.slice(1, -1).replaceAll(/\\(["\\])/g, "$1") : name;
  return bare === "/dev/null" ? bare : bare.replace(/^[ab]\//, "");
}

/** From the first line, where both sides have the same name. */
function pathOf(head: string): string {
  const names = (head.split("\n", 1)[0] ?? "").slice("diff --git ".length);
  const half = (names.length - 1) / 2;
  return plain(Number.isInteger(half) ? names.slice(half + 1) : (names.split(" b/").at(-1) ?? names));
}

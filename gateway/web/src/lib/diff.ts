// Reads unified diffs into lines with numbers, counts and marks of what changed within a line. Pure.

export interface DiffLine {
  kind: "add" | "del" | "same" | "hunk";
  text: string;
  oldLine: number | null;
  newLine: number | null;
  /** The changed stretch of `text`, when the line replaces another one. */
  mark: readonly [start: number, end: number] | null;
}

export interface Diff {
  lines: readonly DiffLine[];
  added: number;
  removed: number;
}

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)$/;

export function parseDiff(text: string): Diff {
  const lines: DiffLine[] = [];
  let oldLine = 0;
  let newLine = 0;
  let inHunk = false;
  for (const raw of text.replace(/\n$/, "").split("\n")) {
    const hunk = HUNK.exec(raw);
    if (hunk) {
      oldLine = Number(hunk[1]);
      newLine = Number(hunk[2]);
      inHunk = true;
      lines.push({ kind: "hunk", text: hunk[3] ?? "", oldLine: null, newLine: null, mark: null });
    } else if (inHunk) {
      const body = raw.slice(1).replace(/\r$/, "");
      if (raw.startsWith("+")) lines.push({ kind: "add", text: body, oldLine: null, newLine: newLine++, mark: null });
      else if (raw.startsWith("-")) lines.push({ kind: "del", text: body, oldLine: oldLine++, newLine: null, mark: null });
      else if (!raw.startsWith("\\")) lines.push({ kind: "same", text: body, oldLine: oldLine++, newLine: newLine++, mark: null });
    }
  }
  markPairs(lines);
  return { lines, added: countOf(lines, "add"), removed: countOf(lines, "del") };
}

/** A replacement that has not been made: nobody knows yet on which lines. */
export interface Proposal {
  search: string;
  replace: string;
  /** Said above it; may be empty. */
  note: string;
}

/** What replacements would do, in the look of a diff. What both sides begin and end with alike is shown once. */
export function proposedDiff(proposals: readonly Proposal[]): Diff {
  const lines: DiffLine[] = [];
  const put = (kind: DiffLine["kind"], texts: readonly string[]) => lines.push(...texts.map((text): DiffLine => ({ kind, text, oldLine: null, newLine: null, mark: null })));
  for (const [index, { search, replace, note }] of proposals.entries()) {
    const [before, after] = [linesOf(search), linesOf(replace)];
    const shorter = Math.min(before.length, after.length);
    let head = 0;
    while (head < shorter && before[head] === after[head]) head += 1;
    let tail = 0;
    while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
    if (index > 0 || note !== "") put("hunk", [note]);
    put("same", before.slice(0, head));
    put("del", before.slice(head, before.length - tail));
    put("add", after.slice(head, after.length - tail));
    put("same", before.slice(before.length - tail));
  }
  markPairs(lines);
  return { lines, added: countOf(lines, "add"), removed: countOf(lines, "del") };
}

const linesOf = (text: string): string[] => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

function countOf(lines: readonly DiffLine[], kind: DiffLine["kind"]): number {
  return lines.reduce((n, line) => (line.kind === kind ? n + 1 : n), 0);
}

/** Pairs each run of removals with the run of additions behind it, when both have the same length. */
function markPairs(lines: DiffLine[]): void {
  let at = 0;
  while (at < lines.length) {
    const dels = runLength(lines, at, "del");
    const adds = runLength(lines, at + dels, "add");
    if (dels > 0 && dels === adds) {
      for (let i = 0; i < dels; i += 1) markPair(lines, at + i, at + dels + i);
    }
    at += Math.max(1, dels + adds);
  }
}

function runLength(lines: readonly DiffLine[], from: number, kind: DiffLine["kind"]): number {
  let end = from;
  while (lines[end]?.kind === kind) end += 1;
  return end - from;
}

function markPair(lines: DiffLine[], delAt: number, addAt: number): void {
  const del = lines[delAt];
  const add = lines[addAt];
  if (!del || !add) return;
  const shorter = Math.min(del.text.length, add.text.length);
  let prefix = 0;
  while (prefix < shorter && del.text[prefix] === add.text[prefix]) prefix += 1;
  let suffix = 0;
  while (suffix < shorter - prefix && del.text[del.text.length - 1 - suffix] === add.text[add.text.length - 1 - suffix]) suffix += 1;
  // Marking a line that has nearly nothing in common with its partner would only be noise.
  if (prefix + suffix < shorter * 0.3) return;
  lines[delAt] = { ...del, mark: [prefix, del.text.length - suffix] };
  lines[addAt] = { ...add, mark: [prefix, add.text.length - suffix] };
}

// Cuts streaming Markdown into finished blocks, which never change again, and one open tail. Pure.

export interface Blocks {
  finished: readonly string[];
  tail: string;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const LIST_ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
const CONTINUATION = /^(?:\t| {2,})\S/;
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

/**
 * Blocks end at blank lines outside of fences; a list keeps its items together. Text with reference definitions is one
 * block, because a definition may belong to any place in it.
 */
export function splitBlocks(text: string): Blocks {
  if (DEFINITION.test(text)) return { finished: [], tail: text };
  const finished: string[] = [];
  let block: string[] = [];
  let fence: string | null = null;
  let sawBlank = false;
  for (const line of text.split("\n")) {
    if (fence === null && line.trim() === "") {
      sawBlank = block.length > 0;
      if (sawBlank) block.push(line);
      continue;
    }
    if (sawBlank && !belongsToList(block, line)) {
      finished.push(block.join("\n").trimEnd());
      block = [];
    }
    sawBlank = false;
    fence = nextFence(fence, line);
    block.push(line);
  }
  return { finished, tail: block.join("\n") };
}

function belongsToList(block: readonly string[], line: string): boolean {
  return LIST_ITEM.test(block[0] ?? "") && (LIST_ITEM.test(line) || CONTINUATION.test(line));
}

function nextFence(fence: string | null, line: string): string | null {
  const mark = FENCE.exec(line)?.[1];
  if (mark === undefined) return fence;
  if (fence === null) return mark;
  const closes = mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark;
  return closes ? null : fence;
}

/** Completes what is half written at the end of the open tail, so that it looks as it will look. */
export function closeTail(tail: string): string {
  if (endsInFence(tail)) return tail;
  const lastLine = tail.slice(tail.lastIndexOf("\n") + 1);
  const start = tail.slice(0, tail.length - lastLine.length);
  let line = lastLine.replace(/!?\[([^\]]*)\]\([^)\s]*$/, "$1").replace(/!?\[([^\][]*)$/, (whole, label: string) => (/^ ?x?$/.test(label) ? whole : label));
  if (count(line, "`") % 2 === 1) line += "`";
  else if (count(line, "**") % 2 === 1) line = line.endsWith("**") ? line.slice(0, -2) : `${line.trimEnd()}**`;
  return start + line;
}

function endsInFence(text: string): boolean {
  let fence: string | null = null;
  for (const line of text.split("\n")) fence = nextFence(fence, line);
  return fence !== null;
}

function count(text: string, needle: string): number {
  return text.split(needle).length - 1;
}

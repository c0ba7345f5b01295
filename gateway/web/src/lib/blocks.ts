// Cuts streaming Markdown into finished blocks, which never change again, and one open tail. Pure.

export interface Blocks {
  finished: readonly string[];
  tail: string;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const FENCE_AT_START = /^(`{3,}|~{3,})/;
const LIST_ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
const CONTINUATION = /^(?:\t| {2,})\S/;
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

/**
 * Blocks end at blank lines outside of fences; a fence that is not part of a list is a block of its own; a list keeps its items
 * together. Text with reference definitions is one block, because a definition may belong to any place in it.
 */
export function splitBlocks(text: string): Blocks {
  if (DEFINITION.test(text)) return { finished: [], tail: text };
  const finished: string[] = [];
  let block: string[] = [];
  let fence: string | null = null;
  let mayEnd = false;
  for (const line of text.split("\n")) {
    if (fence === null && line.trim() === "") {
      mayEnd = block.length > 0;
      if (mayEnd) block.push(line);
      continue;
    }
    const opens = fence === null && FENCE_AT_START.test(line) && block.length > 0;
    if (opens || (mayEnd && !belongsToList(block, line))) {
      finished.push(block.join("\n").trimEnd());
      block = [];
    }
    const before = fence;
    fence = nextFence(fence, line);
    block.push(line);
    mayEnd = before !== null && fence === null && FENCE_AT_START.test(block[0] ?? "");
  }
  return { finished, tail: block.join("\n") };
}

export interface Fence {
  language: string;
  code: string;
}

/** The block as code, when it is nothing but one fence, closed or still open. */
export function fenceOf(block: string): Fence | null {
  const end = block.indexOf("\n");
  const first = end < 0 ? block : block.slice(0, end);
  const mark = FENCE_AT_START.exec(first)?.[1];
  const info = first.slice(mark?.length ?? 0).trim();
  if (mark === undefined || (mark.startsWith("`") && info.includes("`"))) return null;
  const language = info.split(/\s/)[0] ?? "";
  if (end < 0) return { language, code: "" };
  const body = block.slice(end + 1);
  const lastStart = body.trimEnd().lastIndexOf("\n") + 1;
  const last = body.slice(lastStart).trim();
  const isClosed = nextFence(mark, last) === null;
  const code = isClosed ? body.slice(0, Math.max(0, lastStart - 1)) : body;
  return { language, code };
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

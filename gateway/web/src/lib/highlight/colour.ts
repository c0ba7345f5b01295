// Colours text line by line and goes on where it stopped: text that grows costs only what is new. Pure.
import { StringStream } from "@codemirror/streamparser";
import type { DiffLine } from "@/lib/diff.ts";
import type { Parser } from "./languages.ts";
import { type Look, lookOf } from "./looks.ts";

export interface Token {
  text: string;
  look: Look | null;
}

export type Line = readonly Token[];

/** Lines are handed out in groups of this many, so that a reader of a long text draws only the groups that changed. */
export const GROUP_LINES = 32;
/** What lies beyond these stays plain: nobody reads it for its colours. */
export const MAX_LINES = 4_000;
export const MAX_LINE_CHARS = 2_000;

const TAB = 4;
/** A tokenizer that does not move on in this many calls is given up for the line. */
const MAX_STALLS = 16;

export interface Coloured {
  text: string;
  groups: readonly (readonly Line[])[];
  lines: readonly Line[];
  /** The tokenizer's state before the last line. */
  state: unknown;
}

/** `before` is an earlier answer for a text that may be the beginning of this one. */
export function colour(parser: Parser, text: string, before: Coloured | null = null): Coloured {
  const goesOn = before !== null && before.lines.length > 0 && text.startsWith(before.text);
  if (goesOn && before.text.length === text.length) return before;
  const kept = goesOn ? before.lines.length - 1 : 0;
  const from = goesOn ? before.text.lastIndexOf("\n") + 1 : 0;
  let state = goesOn ? copy(parser, before.state) : startOf(parser);
  const lines = goesOn ? before.lines.slice(0, kept) : [];
  let stateBefore = state;
  for (const line of text.slice(from).split("\n")) {
    stateBefore = state;
    state = copy(parser, state);
    lines.push(lines.length < MAX_LINES ? colourLine(parser, state, line) : plain(line));
  }
  return { text, lines, groups: grouped(lines, goesOn ? before.groups : [], kept), state: stateBefore };
}

/** The lines of a diff: what was and what is are two texts, each read with a state of its own, anew in every hunk. */
export function colourDiff(parser: Parser, lines: readonly DiffLine[]): Line[] {
  let oldSide = startOf(parser);
  let newSide = startOf(parser);
  return lines.map((line, index) => {
    if (index >= MAX_LINES) return plain(line.text);
    if (line.kind === "hunk") {
      oldSide = startOf(parser);
      newSide = startOf(parser);
      return plain(line.text);
    }
    if (line.kind === "del") return colourLine(parser, oldSide, line.text);
    if (line.kind === "same") oldSide = stepped(parser, newSide, line.text);
    return colourLine(parser, newSide, line.text);
  });
}

/** Everything that text in one language is coloured with. */
export interface Painter {
  colour: (text: string, before?: Coloured | null) => Coloured;
  colourDiff: (lines: readonly DiffLine[]) => Line[];
}

export const painterOf = (parser: Parser): Painter => ({
  colour: (text, before) => colour(parser, text, before),
  colourDiff: (lines) => colourDiff(parser, lines),
});

function grouped(lines: readonly Line[], before: readonly (readonly Line[])[], kept: number): (readonly Line[])[] {
  const groups: (readonly Line[])[] = [];
  for (let from = 0; from < lines.length; from += GROUP_LINES) {
    const old = from + GROUP_LINES <= kept ? before[from / GROUP_LINES] : undefined;
    groups.push(old ?? lines.slice(from, from + GROUP_LINES));
  }
  return groups;
}

/** The state behind a line that both sides of a diff share. */
function stepped(parser: Parser, state: unknown, line: string): unknown {
  const other = copy(parser, state);
  colourLine(parser, other, line);
  return other;
}

/** Moves `state` on. */
function colourLine(parser: Parser, state: unknown, line: string): Line {
  if (line === "") {
    passBlank(parser, state);
    return [];
  }
  if (line.length > MAX_LINE_CHARS) return plain(line);
  const stream = new StringStream(line, TAB, TAB);
  const tokens: { text: string; look: Look | null }[] = [];
  let stalls = 0;
  while (!stream.eol()) {
    stream.start = stream.pos;
    const look = nextLook(parser, stream, state);
    if (look === "stuck" || stalls > MAX_STALLS) {
      push(tokens, line.slice(stream.start), null);
      return tokens;
    }
    if (stream.pos === stream.start) stalls += 1;
    else push(tokens, line.slice(stream.start, stream.pos), look);
  }
  return tokens;
}

function push(tokens: { text: string; look: Look | null }[], text: string, look: Look | null): void {
  const last = tokens.at(-1);
  if (last?.look === look) last.text += text;
  else tokens.push({ text, look });
}

function plain(line: string): Line {
  return line === "" ? [] : [{ text: line, look: null }];
}

/** Tokenizers meet text of every kind; one that trips over it must not take the page along. */
function nextLook(parser: Parser, stream: StringStream, state: unknown): Look | null | "stuck" {
  try {
    return lookOf(parser.token(stream, state));
  } catch {
    return "stuck";
  }
}

function passBlank(parser: Parser, state: unknown): void {
  try {
    parser.blankLine?.(state, TAB);
  } catch {
    // The lines that follow are coloured as if this one had not been there.
  }
}

function startOf(parser: Parser): unknown {
  return parser.startState?.(TAB) ?? {};
}

function copy(parser: Parser, state: unknown): unknown {
  if (parser.copyState) return parser.copyState(state);
  if (typeof state !== "object" || state === null) return state;
  return Object.fromEntries(Object.entries(state).map(([key, value]) => [key, Array.isArray(value) ? value.slice() : (value as unknown)]));
}

// What changed within a line, as pieces of its coloured words. Pure.
import type { Line, Token } from "./colour.ts";

/** The tokens of a line cut at both ends of `mark`, each piece knowing whether it is marked. */
export function withMark(line: Line, mark: readonly [start: number, end: number]): (Token & { marked: boolean })[] {
  const pieces: (Token & { marked: boolean })[] = [];
  let at = 0;
  for (const token of line) {
    const end = at + token.text.length;
    const cuts = [at, ...mark.filter((cut) => cut > at && cut < end), end];
    for (let i = 0; i + 1 < cuts.length; i += 1) {
      const from = cuts[i] ?? at;
      const piece = token.text.slice(from - at, (cuts[i + 1] ?? end) - at);
      if (piece !== "") pieces.push({ text: piece, look: token.look, marked: from >= mark[0] && from < mark[1] });
    }
    at = end;
  }
  return pieces;
}

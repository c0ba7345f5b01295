// Titles are made of what people and models write, so they contain Markdown. A line of a list has no room for it. Pure.

export interface TitlePiece {
  text: string;
  isCode: boolean;
}

/** Marks at the start of a line: heading, quotation, list, task. */
const BLOCK = /^\s*(?:#{1,6}\s+|>\s*|[-*+]\s+(?:\[[ xX]\]\s+)?|\d{1,3}[.)]\s+)+/;
const FENCE = /(?:```|~~~)[\w+#.-]*/g;
const CODE = /(`+)(.+?)\1(?!`)/g;
const LINK = /!?\[([^\]]*)\]\([^()\s]*(?:\s+"[^"]*")?\)/g;
/** Emphasis stands at the edges of words: `snake_case` and `2 * 3 * 4` are none. */
const EMPHASIS = /(?<![\w*_~])(\*{1,3}|_{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?![\w*_~])/g;

/** What to draw: code without its backticks, everything else without its marks. */
export function titlePieces(title: string): TitlePiece[] {
  const line = title.replace(BLOCK, "").replaceAll(FENCE, " ").replaceAll(/\s+/g, " ").trim();
  const pieces: TitlePiece[] = [];
  let end = 0;
  for (const found of line.matchAll(CODE)) {
    pieces.push(...words(line.slice(end, found.index)), { text: (found[2] ?? "").trim(), isCode: true });
    end = found.index + found[0].length;
  }
  pieces.push(...words(line.slice(end)));
  // Nothing but marks: then the marks are what it says.
  return pieces.some(({ text }) => text.trim() !== "") ? pieces : [{ text: title, isCode: false }];
}

/** The same as one text, for names that are read out, tooltips and messages. */
export function plainTitle(title: string): string {
  return titlePieces(title)
    .map(({ text }) => text)
    .join("");
}

/** A backtick that is left here has lost its partner where the title was cut. */
function words(text: string): TitlePiece[] {
  const plain = text.replaceAll(LINK, "$1").replaceAll(EMPHASIS, "$2").replaceAll("`", "");
  return plain === "" ? [] : [{ text: plain, isCode: false }];
}

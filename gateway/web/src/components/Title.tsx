import { titlePieces } from "@/lib/title.ts";

/** A chat's title in one line: inline code is drawn as code, other Markdown is not shown raw. */
export function Title({ text }: { text: string }) {
  return titlePieces(text).map((piece, index) =>
    // oxlint-disable-next-line react/no-array-index-key -- the pieces of a text have no names
    piece.isCode ? <code key={index} className="rounded bg-selected/70 px-1 font-mono text-[0.92em] leading-none">{piece.text}</code> : piece.text,
  );
}

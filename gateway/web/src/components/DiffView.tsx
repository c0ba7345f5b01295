import { memo, useMemo, useState } from "react";
import { classes } from "@/lib/classes.ts";
import type { DiffLine } from "@/lib/diff.ts";
import type { Line as ColouredLine } from "@/lib/highlight/colour.ts";
import { languageOfPath } from "@/lib/highlight/languages.ts";
import { withMark } from "@/lib/highlight/mark.ts";
import { Tokens, Word } from "./Tokens.tsx";
import { usePainter } from "./usePainter.ts";

/** Lines shown before the reader asks for more. */
const FIRST_LINES = 400;

const LOOKS: Record<DiffLine["kind"], string> = {
  add: "bg-add",
  del: "bg-del",
  same: "",
  hunk: "bg-sunken text-faint",
};
const SIGNS = { add: "+", del: "−", same: " ", hunk: "" };

interface DiffViewProps {
  lines: readonly DiffLine[];
  label: string;
  /** Tells the language. */
  path: string;
}

/** Nothing is left out above it: a first line may be gone as well as new. */
const startsAtTop = ([, first]: readonly DiffLine[]) => first?.newLine === 1 || first?.oldLine === 1;

export const DiffView = memo(function DiffView({ lines, label, path }: DiffViewProps) {
  const [all, setAll] = useState(false);
  const painter = usePainter(languageOfPath(path));
  const coloured = useMemo(() => painter?.colourDiff(lines) ?? null, [painter, lines]);
  const shown = all ? lines : lines.slice(0, FIRST_LINES);
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
    <div role="region" aria-label={label} tabIndex={0} className="max-h-[480px] overflow-auto font-mono text-[12.5px] leading-5">
      <div className="min-w-fit py-1">
        {shown.map((line, index) => index === 0 && line.kind === "hunk" && startsAtTop(lines) ? null : (
          // oxlint-disable-next-line react/no-array-index-key -- a diff never changes
          <Line key={index} line={line} coloured={coloured?.[index] ?? null} />
        ))}
      </div>
      {shown.length < lines.length ? (
        <button type="button" className="w-full px-3 py-2 text-left text-accent hover:bg-hover" onClick={() => setAll(true)}>
          Show {lines.length - shown.length} more lines
        </button>
      ) : null}
    </div>
  );
});

function Line({ line, coloured }: { line: DiffLine; coloured: ColouredLine | null }) {
  const number = line.kind === "del" ? line.oldLine : line.newLine;
  return (
    <div className={classes("flex pr-3", LOOKS[line.kind])}>
      <span className="w-11 shrink-0 pr-2 text-right text-faint select-none">{number ?? (line.kind === "hunk" ? "⋯" : "")}</span>
      <span className={classes("w-4 shrink-0 select-none", line.kind === "add" && "text-add-ink", line.kind === "del" && "text-del-ink")}>
        {SIGNS[line.kind]}
      </span>
      <span className="whitespace-pre">
        <Content line={line} words={coloured ?? [{ text: line.text, look: null }]} />
      </span>
    </div>
  );
}

function Content({ line, words }: { line: DiffLine; words: ColouredLine }) {
  if (line.text === "") return " ";
  if (line.mark === null || line.mark[0] >= line.mark[1]) return <Tokens line={words} />;
  const look = line.kind === "add" ? "bg-add-mark" : "bg-del-mark";
  return withMark(words, line.mark).map((piece, index) => (
    // oxlint-disable-next-line react/no-array-index-key -- a diff never changes
    <span key={index} className={piece.marked ? look : undefined}>
      <Word token={piece} />
    </span>
  ));
}

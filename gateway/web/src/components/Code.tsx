import { memo, useMemo } from "react";
import type { Coloured, Line, Painter } from "@/lib/highlight/colour.ts";
import { type Language, languageNamed } from "@/lib/highlight/languages.ts";
import { Tokens } from "./Tokens.tsx";
import { usePainter } from "./usePainter.ts";

/** Coloured text. While it grows only its last group of lines is coloured and drawn again. */
export function Code({ text, language }: { text: string; language: string }) {
  const painter = usePainter(useMemo(() => languageNamed(language), [language]));
  return <code>{painter === null ? text : <ColouredText text={text} painter={painter} />}</code>;
}

function ColouredText({ text, painter }: { text: string; painter: Painter }) {
  const paint = useMemo(() => remembering(painter), [painter]);
  const { groups } = paint(text);
  return groups.map((lines, index) => (
    // oxlint-disable-next-line react/no-array-index-key -- text only grows at its end
    <Group key={index} lines={lines} isLast={index === groups.length - 1} />
  ));
}

/** Remembers the last answer, so that the next one goes on from there. The same text always gives the same lines. */
function remembering(painter: Painter): (text: string) => Coloured {
  let last: Coloured | null = null;
  return (text) => {
    last = painter.colour(text, last);
    return last;
  };
}

const Group = memo(function Group({ lines, isLast }: { lines: readonly Line[]; isLast: boolean }) {
  return lines.map((line, index) => (
    // oxlint-disable-next-line react/no-array-index-key -- lines of a group never move
    <span key={index}>
      <Tokens line={line} />
      {isLast && index === lines.length - 1 ? null : "\n"}
    </span>
  ));
});

/** The lines of a text that no longer changes; `null` while they cannot be coloured. */
export function useColouredLines(text: string, language: Language | null): readonly Line[] | null {
  const painter = usePainter(language);
  return useMemo(() => painter?.colour(text).lines ?? null, [painter, text]);
}

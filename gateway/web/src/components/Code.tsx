import { memo, useMemo } from "react";
import { colour, type Coloured, type Line } from "@/lib/highlight/colour.ts";
import { type Language, languageNamed, type Parser } from "@/lib/highlight/languages.ts";
import { Tokens } from "./Tokens.tsx";
import { useParser } from "./useParser.ts";

/** Coloured text. While it grows only its last group of lines is coloured and drawn again. */
export function Code({ text, language }: { text: string; language: string }) {
  const parser = useParser(useMemo(() => languageNamed(language), [language]));
  return <code>{parser === null ? text : <ColouredText text={text} parser={parser} />}</code>;
}

function ColouredText({ text, parser }: { text: string; parser: Parser }) {
  const paint = useMemo(() => painter(parser), [parser]);
  const { groups } = paint(text);
  return groups.map((lines, index) => (
    // oxlint-disable-next-line react/no-array-index-key -- text only grows at its end
    <Group key={index} lines={lines} isLast={index === groups.length - 1} />
  ));
}

/** Remembers the last answer, so that the next one goes on from there. The same text always gives the same lines. */
function painter(parser: Parser): (text: string) => Coloured {
  let last: Coloured | null = null;
  return (text) => {
    last = colour(parser, text, last);
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
  const parser = useParser(language);
  return useMemo(() => (parser === null ? null : colour(parser, text).lines), [parser, text]);
}

import { useColouredLines } from "@/components/Code.tsx";
import { Tokens } from "@/components/Tokens.tsx";
import { languageOfPath } from "@/lib/highlight/languages.ts";

/** Lines drawn at most; a file card is a look, not an editor. */
const MAX_LINES = 500;

interface NumberedLinesProps {
  lines: readonly { number: string; text: string }[];
  label: string;
  /** Tells the language. */
  path: string;
}

export function NumberedLines({ lines, label, path }: NumberedLinesProps) {
  const shown = lines.slice(0, MAX_LINES);
  const coloured = useColouredLines(shown.map((line) => line.text).join("\n"), languageOfPath(path));
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
    <div role="region" aria-label={label} tabIndex={0} className="max-h-80 overflow-auto bg-sunken py-2 font-mono text-[12.5px] leading-[19px]">
      <div className="min-w-fit">
        {shown.map((line, index) => (
          // oxlint-disable-next-line react/no-array-index-key -- the lines never change
          <div key={index} className="flex pr-3.5">
            <span className="w-12 shrink-0 pr-3 text-right text-faint select-none">{line.number}</span>
            <span className="whitespace-pre">{line.text === "" ? " " : <Tokens line={coloured?.[index] ?? [{ text: line.text, look: null }]} />}</span>
          </div>
        ))}
      </div>
      {lines.length > MAX_LINES ? <p className="px-3.5 pt-2 text-faint">… {lines.length - MAX_LINES} more lines</p> : null}
    </div>
  );
}

import { memo, useLayoutEffect, useMemo, useRef } from "react";
import { terminalRuns } from "@/lib/ansi.ts";
import { classes } from "@/lib/classes.ts";

/** Only this much of the end is drawn; the copy button has everything. */
const MAX_DRAWN = 60_000;
const AT_END_PX = 24;

interface TerminalProps {
  text: string;
  label: string;
  /** While live, the end stays in view as long as the reader is there. */
  isLive?: boolean;
}

export const Terminal = memo(function Terminal({ text, label, isLive = false }: TerminalProps) {
  const ref = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const runs = useMemo(() => terminalRuns(text.slice(-MAX_DRAWN)), [text]);
  useLayoutEffect(() => {
    if (isLive && atEnd.current && ref.current) ref.current.scrollTop = ref.current.scrollHeight;
  }, [runs, isLive]);
  return (
    <pre
      ref={ref}
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
      tabIndex={0}
      aria-label={label}
      onScroll={(event) => {
        const box = event.currentTarget;
        atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX;
      }}
      className="max-h-80 overflow-auto px-3.5 py-2.5 font-mono text-[12.5px] leading-[19px] wrap-anywhere whitespace-pre-wrap"
    >
      {text.length > MAX_DRAWN ? <span className="text-faint">… earlier output left out …{"\n"}</span> : null}
      {runs.map((run, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- output only grows at its end
        <span key={index} className={classes(run.color !== null && `term-${String(run.color)}`, run.bold && "font-semibold")}>
          {run.text}
        </span>
      ))}
    </pre>
  );
});

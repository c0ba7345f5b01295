import { memo, useState } from "react";
import { classes } from "@/lib/classes.ts";
import type { DiffLine } from "@/lib/diff.ts";

/** Lines shown before the reader asks for more. */
const FIRST_LINES = 400;

const LOOKS: Record<DiffLine["kind"], string> = {
  add: "bg-add",
  del: "bg-del",
  same: "",
  hunk: "bg-sunken text-faint",
};
const SIGNS = { add: "+", del: "−", same: " ", hunk: "" };

export const DiffView = memo(function DiffView({ lines, label }: { lines: readonly DiffLine[]; label: string }) {
  const [all, setAll] = useState(false);
  const shown = all ? lines : lines.slice(0, FIRST_LINES);
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
    <div role="region" aria-label={label} tabIndex={0} className="max-h-[480px] overflow-auto font-mono text-[12.5px] leading-5">
      <div className="min-w-fit py-1">
        {shown.map((line, index) => index === 0 && line.kind === "hunk" && lines[1]?.newLine === 1 ? null : (
          // oxlint-disable-next-line react/no-array-index-key -- a diff never changes
          <Line key={index} line={line} />
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

function Line({ line }: { line: DiffLine }) {
  const number = line.kind === "del" ? line.oldLine : line.newLine;
  return (
    <div className={classes("flex pr-3", LOOKS[line.kind])}>
      <span className="w-11 shrink-0 pr-2 text-right text-faint select-none">{number ?? (line.kind === "hunk" ? "⋯" : "")}</span>
      <span className={classes("w-4 shrink-0 select-none", line.kind === "add" && "text-add-ink", line.kind === "del" && "text-del-ink")}>
        {SIGNS[line.kind]}
      </span>
      <span className="whitespace-pre">
        <Marked line={line} />
      </span>
    </div>
  );
}

function Marked({ line }: { line: DiffLine }) {
  if (line.mark === null || line.mark[0] >= line.mark[1]) return line.text || " ";
  const [start, end] = line.mark;
  return (
    <>
      {line.text.slice(0, start)}
      <span className={classes("rounded-[3px]", line.kind === "add" ? "bg-add-mark" : "bg-del-mark")}>{line.text.slice(start, end)}</span>
      {line.text.slice(end)}
    </>
  );
}

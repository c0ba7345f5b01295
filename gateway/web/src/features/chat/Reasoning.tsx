import { ChevronRight } from "lucide-react";
import { useId } from "react";
import { Markdown } from "@/components/Markdown.tsx";
import { classes } from "@/lib/classes.ts";
import { duration } from "@/lib/time.ts";
import type { ReasoningRow } from "@/stream/timeline.ts";
import { useOpened } from "./opened.ts";

/** What the model thought before it answered: one line, opens. */
export function Reasoning({ row }: { row: ReasoningRow }) {
  const id = useId();
  const [isOpen, setOpen] = useOpened(row.key, false);
  return (
    <div className="text-sm">
      <button
        type="button"
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => setOpen(!isOpen)}
        className="-ml-1 inline-flex min-h-7 items-center gap-1.5 rounded-md px-1 text-faint hover:text-ink touch:min-h-11"
      >
        <ChevronRight size={14} className={classes("transition-transform duration-100", isOpen && "rotate-90")} aria-hidden />
        <span className={classes(row.isLive && "pulse")}>{label(row)}</span>
      </button>
      {isOpen ? (
        <div id={id} className="mt-1.5 ml-1.5 border-l-2 border-line pl-4 text-muted">
          <Markdown text={row.text} isLive={row.isLive} />
        </div>
      ) : null}
    </div>
  );
}

function label(row: ReasoningRow): string {
  if (row.isLive) return "Thinking…";
  const ms = row.startedAt && row.endedAt ? Date.parse(row.endedAt) - Date.parse(row.startedAt) : 0;
  return ms >= 1_000 ? `Thought for ${duration(ms)}` : "Thought";
}

import { ChevronRight, Eraser, FoldVertical, TriangleAlert } from "lucide-react";
import { type ReactNode, useId } from "react";
import { Markdown } from "@/components/Markdown.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { classes } from "@/lib/classes.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { compactionOf } from "./compacted.ts";
import { useOpened } from "./opened.ts";
import { ToolTime } from "./tools/ToolTime.tsx";

/** The line across the conversation behind which the model's own memory begins. What it remembers instead opens. */
export function Compaction({ row }: { row: ToolRow }) {
  const id = useId();
  const [isOpen, setOpen] = useOpened(row.key, false);
  const { state, title, detail, summary, error } = compactionOf(row);
  const icon = { running: <Spinner size={14} />, failed: <TriangleAlert size={14} />, cleared: <Eraser size={14} />, done: <FoldVertical size={14} />, stopped: <FoldVertical size={14} /> }[state];
  const words = (
    <>
      <span className={classes("shrink-0", state === "failed" && "text-danger")} aria-hidden>
        {icon}
      </span>
      <span className={classes("font-medium", state === "failed" ? "text-danger" : "text-muted")}>{title}</span>
      {detail ? <span className="text-faint max-sm:hidden">{detail}</span> : null}
      {state === "running" ? <ToolTime row={row} /> : null}
    </>
  );
  return (
    <section aria-label={title} className="py-2 text-xs">
      <Ruled>
        {summary === "" ? (
          <p className="flex min-h-7 items-center gap-2">{words}</p>
        ) : (
          <button
            type="button"
            aria-expanded={isOpen}
            aria-controls={id}
            onClick={() => setOpen(!isOpen)}
            className="flex min-h-7 items-center gap-2 rounded-full border border-line px-3 hover:bg-hover touch:min-h-11"
          >
            {words}
            <ChevronRight size={13} className={classes("shrink-0 text-faint transition-transform duration-100", isOpen && "rotate-90")} aria-hidden />
          </button>
        )}
      </Ruled>
      {error ? <p className="mt-1 text-center wrap-anywhere text-danger">{error}</p> : null}
      {isOpen && summary !== "" ? (
        <div id={id} className="mt-3 rounded-md border border-line bg-sunken px-4 py-3 text-sm">
          <p className="mb-2 text-xs text-faint">What the model remembers of everything above. You still have all of it.</p>
          <Markdown text={summary} />
        </div>
      ) : null}
    </section>
  );
}

function Ruled({ children }: { children: ReactNode }) {
  return (
    <div className="flex items-center gap-3 before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">{children}</div>
  );
}

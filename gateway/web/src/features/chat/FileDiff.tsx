import { type ReactNode, useMemo } from "react";
import { CopyButton } from "@/components/CopyButton.tsx";
import { DiffView } from "@/components/DiffView.tsx";
import { classes } from "@/lib/classes.ts";
import { parseDiff } from "@/lib/diff.ts";

interface FileDiffProps {
  path: string;
  /** Unified. */
  diff: string;
  /** Whatever stands around it names the file already. */
  isNamed?: boolean;
  /** Behind the name: what became of the file as a whole. */
  note?: ReactNode;
}

/** What changed in one file, under its name. */
export function FileDiff({ path, diff, isNamed = false, note }: FileDiffProps) {
  const { lines, added, removed } = useMemo(() => parseDiff(diff), [diff]);
  return (
    <div>
      <div className={classes("h-9 items-center gap-3 bg-sunken pr-1 pl-3.5 text-xs", isNamed ? "hidden" : "flex")}>
        <span className="min-w-0 flex-1 truncate font-mono text-muted" title={path}>
          {path}
        </span>
        {note}
        {lines.length > 0 ? (
          <>
            <span className="text-add-ink tabular-nums">+{added}</span>
            <span className="text-del-ink tabular-nums">−{removed}</span>
          </>
        ) : null}
        <CopyButton text={diff} label="Copy diff" />
      </div>
      {lines.length > 0 ? <DiffView lines={lines} label={`Changes in ${path}`} path={path} /> : <p className="px-3.5 py-2 text-xs text-faint">No textual change.</p>}
    </div>
  );
}

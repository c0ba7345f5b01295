import { CopyButton } from "@/components/CopyButton.tsx";
import { Terminal } from "@/components/Terminal.tsx";
import { spelt } from "@/lib/approvals.ts";
import { classes } from "@/lib/classes.ts";
import { num, open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { partialArgs } from "./summary.ts";

/** A command and what it printed, live while it runs. */
export function ExecuteBody({ row }: { row: ToolRow }) {
  const args = open(row.args ?? partialArgs(row.argsText));
  const result = open(row.result);
  const command = str(args["command"]);
  const awaits = row.state === "awaiting";
  const running = row.state === "running" || row.state === "writing";
  const output = running || row.state === "stopped" ? row.output : str(result["output"]);
  const omitted = num(open(result["truncated"])["omitted_bytes"]);
  const notes = [
    str(result["error"]),
    str(result["note"]),
    omitted ? `${omitted.toLocaleString()} bytes in the middle were left out.` : "",
    str(args["workdir"]) && `in ${str(args["workdir"])}`,
  ].filter(Boolean);
  return (
    <div className="bg-sunken">
      {command ? (
        <div className={classes("flex items-start gap-2 py-1.5 pr-1 pl-3.5", !awaits && "border-b border-line")}>
          <span className="py-1 font-mono text-[12.5px] leading-[19px] text-faint select-none">$</span>
          <code className="min-w-0 flex-1 py-1 font-mono text-[12.5px] leading-[19px] wrap-anywhere whitespace-pre-wrap">{awaits ? spelt(command) : command}</code>
          <CopyButton text={command} label="Copy command" />
        </div>
      ) : null}
      {output ? (
        <Terminal text={output} label="Output" isLive={running} />
      ) : awaits ? null : (
        <p className="px-3.5 py-2.5 text-xs text-faint">{running ? "No output yet." : "No output."}</p>
      )}
      {notes.length > 0 ? <p className="border-t border-line px-3.5 py-2 text-xs wrap-anywhere text-muted">{notes.join(" · ")}</p> : null}
    </div>
  );
}

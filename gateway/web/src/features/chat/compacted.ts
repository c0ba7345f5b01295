// What a compaction of the model's memory is called on screen. Pure.
import { num, open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { troubleOf } from "./tools/trouble.ts";

export { COMPACTION_TOOL } from "@/lib/toolNames.ts";

export interface CompactionText {
  state: "running" | "done" | "failed" | "stopped" | "cleared";
  title: string;
  /** Why it happened, in a few words; may be empty. */
  detail: string;
  /** What the model remembers; empty when nothing can be opened. */
  summary: string;
  error: string;
}

export function compactionOf(row: ToolRow): CompactionText {
  const result = open(row.result);
  const source = str(result["source"]) || str(open(row.args)["source"]);
  const plain = { detail: "", summary: "", error: "" };
  if (source === "cleared") return { ...plain, state: "cleared", title: "The model has forgotten everything above" };
  if (row.state === "running" || row.state === "writing") return { ...plain, state: "running", title: "Summarizing the conversation" };
  if (row.state === "stopped") return { ...plain, state: "stopped", title: "The summary was stopped" };
  const trouble = troubleOf(row);
  if (trouble !== null) return { ...plain, state: "failed", title: "The conversation could not be summarized", error: trouble.text };
  return { ...plain, state: "done", title: "The conversation was summarized", detail: reason(source, num(result["usage_percent"])), summary: str(result["summary"]) };
}

function reason(source: string, used: number | null): string {
  if (used === null) return source === "manual" ? "as you asked" : "";
  const share = `${used < 1 ? "less than 1" : String(Math.round(used))} % of the context was in use`;
  return source === "manual" ? `as you asked · ${share}` : share;
}

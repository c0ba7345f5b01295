// What went wrong with a tool call, and whether anybody knows what became of it. Pure.
import { open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";

export interface Trouble {
  /** `unknown`: it may or may not have happened. `interrupted`: it did not finish, and nothing hangs on that. */
  kind: "failed" | "unknown" | "interrupted";
  /** In the tool's or the server's own words. */
  text: string;
}

const UNKNOWN = /\boutcome\b[^.:;]*\bis unknown\b/i;
const INTERRUPTED = /^interrupted\b/i;
/** Tools that change nothing: when one of them was cut off, nothing has to be checked. */
const READ_ONLY = new Set(["read_file", "process_output", "process_list", "list_templates", "read_template", "read_skill", "read_skill_file", "wait_agent", "web_search"]);

/** `null` when nothing did. */
export function troubleOf(row: ToolRow): Trouble | null {
  const result = open(row.result);
  const said = str(result["error"]) || (row.state === "failed" ? str(result["message"]) || str(row.result) : "");
  const text = said || (row.state === "failed" ? "The tool failed without saying why." : "");
  if (text === "") return null;
  if (UNKNOWN.test(text)) return { kind: READ_ONLY.has(row.name) ? "interrupted" : "unknown", text };
  return { kind: INTERRUPTED.test(text) ? "interrupted" : "failed", text };
}

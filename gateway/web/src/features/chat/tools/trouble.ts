// What went wrong with a tool call, and whether anybody knows what became of it. Pure.
import { open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";

export interface Trouble {
  /**
   * `unknown`: it may or may not have happened. `interrupted`: it did not finish, and nothing hangs on that. `declined`: a person did not
   * want it. `refused`: the server never runs it. `unallowed`: the turn ended before a person had said anything. None of the last three has
   * happened.
   */
  kind: "failed" | "unknown" | "interrupted" | "declined" | "refused" | "unallowed";
  /** In the tool's or the server's own words. */
  text: string;
}

const UNKNOWN = /\boutcome\b[^.:;]*\bis unknown\b/i;
const DECLINED = /^the user declined this call\./i;
const REFUSED = /^this call was refused: .*never run/is;
const UNALLOWED = /(?:before the call was allowed|^nobody allowed the call in time); it did not run\.$/i;
const INTERRUPTED = /^interrupted\b/i;
/** Tools that change nothing: when one of them was cut off, nothing has to be checked. */
const READ_ONLY = new Set(["read_file", "process_output", "process_list", "list_templates", "read_template", "read_skill", "read_skill_file", "wait_agent", "web_search"]);

/** `null` when nothing did. */
export function troubleOf(row: ToolRow): Trouble | null {
  const result = open(row.result);
  const said = str(result["error"]) || (row.state === "failed" ? str(result["message"]) || str(row.result) : "");
  const text = said || (row.state === "failed" ? "The tool failed without saying why." : "");
  if (text === "") return null;
  if (DECLINED.test(text)) return { kind: "declined", text };
  if (REFUSED.test(text)) return { kind: "refused", text };
  if (UNALLOWED.test(text)) return { kind: "unallowed", text };
  if (UNKNOWN.test(text)) return { kind: READ_ONLY.has(row.name) ? "interrupted" : "unknown", text };
  return { kind: INTERRUPTED.test(text) ? "interrupted" : "failed", text };
}

/** It has not happened, and never will. */
export const isNever = (row: ToolRow): boolean => ["declined", "refused", "unallowed"].includes(troubleOf(row)?.kind ?? "");

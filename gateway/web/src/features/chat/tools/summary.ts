// What a tool call is called on screen: a verb, an object, and one short outcome. Pure; every wording of tools is here.
import { parseDiff } from "@/lib/diff.ts";
import { toolTitle } from "@/lib/mcp.ts";
import { list, num, open, str } from "@/lib/open.ts";
import { sizeText } from "@/lib/size.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { foreignCall } from "./foreign.ts";
import { isNever, troubleOf } from "./trouble.ts";

export interface Outcome {
  text: string;
  tone: "quiet" | "ok" | "danger" | "warn";
}

export interface Summary {
  verb: string;
  object: string;
  /** The object is code or a path. */
  isCode: boolean;
  outcome: Outcome | null;
}

export function summarize(row: ToolRow): Summary {
  const words = wordsFor(row);
  return { ...words, outcome: outcomeOf(row) };
}

/** One sentence fragment for the line that says what the agent is doing. */
export function activity(row: ToolRow): string {
  const intent = foreignCall(row)?.intent;
  if (intent) return intent.replace(/[.…\s]+$/, "");
  const { verb, object } = wordsFor(row);
  const whole = object === "" ? verb : `${verb} ${object}`;
  return row.state === "awaiting" ? capital(whole.replace(WANTS, "")) : whole;
}

type Words = Omit<Summary, "outcome">;

const WANTS = /^Wants to /;
/** What is done, as what shall be done. */
const VERBS: Record<string, string> = {
  Running: "run",
  Reading: "read",
  Writing: "write",
  Editing: "edit",
  Summarizing: "summarize",
  Watching: "look at",
  Listing: "list",
  Stopping: "stop",
  Attaching: "attach",
  Proposing: "propose",
  Asking: "ask",
  "Looking for": "look for",
  Creating: "create",
  Starting: "start",
};
const wanting = (doing: string): string => `Wants to ${VERBS[doing] ?? doing.toLowerCase()}`;
const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

function wordsFor(row: ToolRow): Words {
  const args = open(row.args ?? partialArgs(row.argsText));
  const active = row.state === "running" || row.state === "writing";
  const tense = (doing: string, done: string) => (row.state === "awaiting" ? wanting(doing) : active ? doing : isNever(row) ? `Did not ${VERBS[doing] ?? doing.toLowerCase()}` : done);
  const code = (doing: string, done: string, object: string): Words => ({ verb: tense(doing, done), object, isCode: true });
  const plain = (doing: string, done: string, object = ""): Words => ({ verb: tense(doing, done), object, isCode: false });
  switch (row.name) {
    case "execute":
      return code("Running", "Ran", firstLine(str(args["command"])));
    case "read_file":
      return code("Reading", "Read", str(args["path"]));
    case "write_file":
      return code("Writing", "Wrote", str(args["path"]));
    case "edit_files": {
      const paths = editedPaths(row);
      return paths.length === 1 ? code("Editing", "Edited", paths[0] ?? "") : plain("Editing", "Edited", paths.length === 0 ? "files" : `${String(paths.length)} files`);
    }
    case "chat_summarized":
      return plain("Summarizing", "Summarized", "the conversation");
    case "process_output":
      return plain("Watching", "Checked", "a background process");
    case "process_list":
      return plain("Listing", "Listed", "background processes");
    case "process_signal":
      return plain("Stopping", "Stopped", "a background process");
    case "attach_file":
      return code("Attaching", "Attached", str(args["path"]));
    case "propose_plan":
      return plain("Proposing", "Proposed", "a plan");
    case "ask_user_question":
      return plain("Asking", "Asked", headers(args["questions"]));
    case "read_skill":
      return plain("Reading", "Read", `the skill ${str(args["name"])}`);
    case "read_skill_file":
      return code("Reading", "Read", [str(args["name"]), str(args["path"])].filter(Boolean).join("/"));
    case "find_tools":
      return plain("Looking for", "Looked for", str(args["query"]) === "" ? "tools" : `tools: ${str(args["query"])}`);
    default:
      if (row.name in WORKSPACE_WORDS) return { ...workspaceWords(row, tense), isCode: false };
      return { ...foreignWords(row), isCode: false };
  }
}

const WORKSPACE_WORDS: Record<string, readonly [doing: string, done: string, object: string]> = {
  list_templates: ["Looking for", "Looked for", "templates"],
  read_template: ["Reading", "Read", "a template"],
  create_workspace: ["Creating", "Created", "a workspace"],
  start_workspace: ["Starting", "Started", "the workspace"],
  stop_workspace: ["Stopping", "Stopped", "the workspace"],
};

function workspaceWords(row: ToolRow, tense: (doing: string, done: string) => string): { verb: string; object: string } {
  const [doing, done, object] = WORKSPACE_WORDS[row.name] ?? ["", "", ""];
  const result = open(row.result);
  const named = str(result["workspace_name"]) || str(open(result["template"])["display_name"]) || str(open(result["template"])["name"]);
  // A workspace that was there already was not made.
  const verb = tense(doing, result["created"] === false ? "Found" : done);
  return { verb, object: named || object };
}

function headers(questions: unknown): string {
  const named = list(questions).map((question) => str(open(question)["header"]));
  return named.filter(Boolean).join(", ") || "a question";
}

export function editedPaths(row: ToolRow): string[] {
  const args = open(row.args);
  const fromFiles = list(args["files"]).map((file) => str(open(file)["path"]));
  const fromEdits = list(args["edits"]).map((edit) => str(open(edit)["path"]));
  return [...new Set([...fromFiles, ...fromEdits])].filter(Boolean);
}

function outcomeOf(row: ToolRow): Outcome | null {
  if (row.state === "awaiting") return { text: "waits for you", tone: "warn" };
  if (row.state === "stopped") return { text: "stopped", tone: "warn" };
  if (row.state === "running" || row.state === "writing") return null;
  const result = open(row.result);
  const trouble = troubleOf(row);
  if (trouble?.kind === "unknown") return { text: "outcome unknown", tone: "warn" };
  if (trouble?.kind === "interrupted") return { text: "interrupted", tone: "warn" };
  if (trouble?.kind === "declined") return quiet("declined");
  if (trouble?.kind === "unallowed") return quiet("not allowed");
  if (trouble?.kind === "refused") return { text: "refused", tone: "warn" };
  if (row.name === "execute" || row.name === "process_output") return commandOutcome(row, result);
  if (trouble !== null) return { text: "failed", tone: "danger" };
  switch (row.name) {
    case "read_file":
      return readOutcome(result);
    case "write_file":
      return quiet(lines(str(open(row.args)["content"])));
    case "edit_files":
      return editOutcome(result);
    case "process_list":
      return quiet(plural(list(result["processes"]).length, "process", "processes"));
    case "process_signal":
      return quiet("signalled");
    case "attach_file":
      return num(result["size"]) === null ? null : quiet(sizeText(num(result["size"]) ?? 0));
    case "list_templates":
      return quiet(plural(num(result["total_count"]) ?? list(result["templates"]).length, "template", "templates"));
    case "find_tools":
      return quiet(plural(list(result["tools"]).length, "tool", "tools"));
    case "create_workspace":
    case "start_workspace":
      return readiness(result);
    default:
      return null;
  }
}

function commandOutcome(row: ToolRow, result: ReturnType<typeof open>): Outcome | null {
  const exit = num(result["exit_code"]);
  const error = str(result["error"]);
  if (/timed out/i.test(error)) return { text: "still running", tone: "warn" };
  if (str(result["background_process_id"]) !== "") return quiet("in background");
  if (/still running/i.test(str(result["note"]))) return { text: "still running", tone: "quiet" };
  if (row.state === "failed" || (exit === null && error !== "")) return { text: "failed", tone: "danger" };
  if (exit === null) return null;
  return { text: `exit ${String(exit)}`, tone: exit === 0 ? "quiet" : "danger" };
}

function readOutcome(result: ReturnType<typeof open>): Outcome | null {
  const read = num(result["lines_read"]);
  const total = num(result["total_lines"]);
  if (read === null) return null;
  return quiet(total !== null && total > read ? `${String(read)} of ${String(total)} lines` : plural(read, "line", "lines"));
}

function editOutcome(result: ReturnType<typeof open>): Outcome {
  const diffs = list(result["files"]).map((file) => parseDiff(str(open(file)["diff"])));
  const added = diffs.reduce((sum, diff) => sum + diff.added, 0);
  const removed = diffs.reduce((sum, diff) => sum + diff.removed, 0);
  return quiet(`+${String(added)} −${String(removed)}`);
}

/** A workspace that is there but cannot be worked in yet is worth more than a quiet word. */
function readiness(result: ReturnType<typeof open>): Outcome | null {
  if (str(result["agent_status"]) !== "") return { text: "not ready", tone: "warn" };
  if (/failed/.test(str(result["startup_scripts"]))) return { text: "startup script failed", tone: "warn" };
  return str(result["status"]) === "stopped" ? { text: "stopped", tone: "warn" } : quiet("ready");
}

const quiet = (text: string): Outcome => ({ text, tone: "quiet" });
const plural = (n: number, one: string, many: string) => `${String(n)} ${n === 1 ? one : many}`;
const lines = (text: string) => plural(text === "" ? 0 : text.replace(/\n$/, "").split("\n").length, "line", "lines");

function firstLine(text: string): string {
  const trimmed = text.trim();
  const end = trimmed.indexOf("\n");
  return end < 0 ? trimmed : `${trimmed.slice(0, end)} …`;
}

/** `github__create_issue` reads "Create issue (github)". */
function foreignWords(row: ToolRow): { verb: string; object: string } {
  const call = foreignCall(row);
  if (!call) return { verb: toolTitle(row.name), object: firstString(row.args) };
  return { verb: call.slug === "" ? call.title : `${call.title} (${call.slug})`, object: call.intent || firstString(call.args) };
}

function firstString(args: unknown): string {
  return firstLine(Object.values(open(args)).map(str).find((value) => value !== "") ?? "").slice(0, 200);
}

const EARLY_STRING = /"(command|path)"\s*:\s*"((?:[^"\\]|\\.)*)"?/g;

/** The first strings of arguments that are still arriving: enough to say what is about to happen. */
export function partialArgs(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(EARLY_STRING)) {
    if (name === undefined || value === undefined || name in found) continue;
    try {
      found[name] = JSON.parse(`"${value}"`) as string;
    } catch {
      found[name] = value;
    }
  }
  return found;
}

// From a chat's view to the rows a reader sees: tool calls joined with their results, live and durable alike. Pure.
import type { ApprovalRequest, ChatMessage, FilePart, FileReferencePart, MessagePart, SourcePart } from "@/api/types.ts";
import { type StandIn, standInFinder } from "./standIn.ts";
import { type ChatView, isBusy, type LiveToolCall, type LiveToolResult } from "./view.ts";
import { open as fieldsOf, str } from "@/lib/open.ts";
import { contextText, isContext } from "@/lib/speech.ts";

export type ToolState = "writing" | "awaiting" | "running" | "done" | "failed" | "stopped";

export interface ToolRow {
  kind: "tool";
  key: string;
  callId: string;
  name: string;
  /** Of the MCP server whose tool it is; empty for all others. */
  serverId: string;
  /** `undefined` while the arguments are still arriving. */
  args: unknown;
  argsText: string;
  state: ToolState;
  /** Output so far, only while running. */
  output: string;
  result: unknown;
  isMedia: boolean;
  startedAt: string;
  endedAt: string | null;
  /** What a person is asked about it, while it waits for that. */
  approval: ApprovalRequest | null;
}

export interface UserRow {
  kind: "user";
  key: string;
  messageId: number;
  text: string;
  files: FilePart[];
  references: FileReferencePart[];
  /** The model it was sent to; empty when unknown. */
  modelId: string;
  createdAt: string;
}

export interface TextRow {
  kind: "text";
  key: string;
  text: string;
  isLive: boolean;
}

export interface ReasoningRow {
  kind: "reasoning";
  key: string;
  text: string;
  isLive: boolean;
  startedAt: string | null;
  endedAt: string | null;
}

export interface FilesRow {
  kind: "files";
  key: string;
  files: FilePart[];
}

export interface SourcesRow {
  kind: "sources";
  key: string;
  sources: SourcePart[];
}

/** Something quiet: injected context, skills, or a kind this version does not know. */
export interface NoteRow {
  kind: "note";
  key: string;
  label: string;
  raw: unknown;
}

/** Behind an answer that another model gave than the one that was asked. */
export interface StandInRow extends StandIn {
  kind: "stand-in";
  key: string;
}

export type Row = ToolRow | UserRow | TextRow | ReasoningRow | FilesRow | SourcesRow | NoteRow | StandInRow;

interface History {
  rows: readonly Row[];
  /** Calls without a durable result, by id, with their place in `rows`. */
  open: ReadonlyMap<string, number>;
}

const histories = new WeakMap<readonly ChatMessage[], History>();

/** All rows, oldest first. The durable ones are built once per list of messages, so a token costs only the live ones. */
export function timeline(view: ChatView): readonly Row[] {
  const history = historyOf(view.messages);
  const rows = history.rows.slice();
  const results = new Map(view.live.flatMap((p) => (p.type === "live-tool-result" ? [[p.callId, p] as const] : [])));
  for (const [callId, index] of history.open) {
    const row = rows[index];
    if (row?.kind === "tool") rows[index] = withLiveResult(row, results.get(callId), isOpen(view));
  }
  rows.push(...liveRows(view, results, history.open));
  addWaits(rows, view);
  for (const event of view.unknown) {
    rows.push({ kind: "note", key: `event-${event.afterMessageId}-${rows.length}`, label: `Event “${event.kind}”`, raw: event.raw });
  }
  return rows;
}

/** Calls that wait for a person's word say so; one whose card is not known here gets one, so that nothing waits unseen. */
function addWaits(rows: Row[], view: ChatView): void {
  for (const { tool_call_id: id, tool_name: name, args, approval } of view.pendingCalls) {
    if (approval === undefined) continue;
    const index = rows.findLastIndex((row) => row.kind === "tool" && row.callId === id);
    const known = rows[index];
    const row = known?.kind === "tool" ? known : { ...blankTool(id, name, ""), args: parsed(args) };
    if (row.state === "running") rows[index < 0 ? rows.length : index] = { ...row, state: "awaiting", approval };
  }
}

function isOpen(view: ChatView): boolean {
  return view.status === null || isBusy(view.status) || view.status === "requires_action";
}

function historyOf(messages: readonly ChatMessage[]): History {
  const known = histories.get(messages);
  if (known) return known;
  const rows: Row[] = [];
  const open = new Map<string, number>();
  const standInOf = standInFinder();
  let previous = 0;
  for (const message of messages) {
    addMessage(rows, open, message, previous);
    const standIn = standInOf(message);
    if (standIn !== null) rows.push({ kind: "stand-in", key: `stand-in-${message.id}`, ...standIn });
    previous = message.id;
  }
  const history = { rows, open };
  histories.set(messages, history);
  return history;
}

function addMessage(rows: Row[], open: Map<string, number>, message: ChatMessage, previous: number): void {
  const parts = message.content ?? [];
  if (isContext(message)) {
    const label = contextText(message);
    if (label !== "") rows.push({ kind: "note", key: `m${message.id}`, label, raw: undefined });
    return;
  }
  if (message.role === "user") {
    const row = userRow(message, parts);
    if (row.text !== "" || row.files.length > 0 || row.references.length > 0) rows.push(row);
    for (const [index, part] of parts.entries()) addNote(rows, part, `m${message.id}-${index}`);
    return;
  }
  const base = `after-${previous}`;
  for (const [index, part] of parts.entries()) addPart(rows, open, message, part, `${base}-${index}`);
}

function userRow(message: ChatMessage, parts: readonly MessagePart[]): UserRow {
  return {
    kind: "user",
    key: `m${message.id}`,
    messageId: message.id,
    text: parts.flatMap((p) => (p.type === "text" ? [p.text] : [])).join("\n\n"),
    files: parts.filter((p) => p.type === "file"),
    references: parts.filter((p) => p.type === "file-reference"),
    modelId: message.model_config_id ?? "",
    createdAt: message.created_at,
  };
}

function addPart(rows: Row[], open: Map<string, number>, message: ChatMessage, part: MessagePart, key: string): void {
  switch (part.type) {
    case "text":
      if (part.text !== "") rows.push({ kind: "text", key, text: part.text, isLive: false });
      return;
    case "reasoning":
      if (part.text.trim() === "") return;
      rows.push({ kind: "reasoning", key, text: part.text, isLive: false, startedAt: part.created_at ?? null, endedAt: part.completed_at ?? null });
      return;
    case "tool-call":
      open.set(part.tool_call_id, rows.length);
      rows.push({
        ...blankTool(part.tool_call_id, part.tool_name, part.created_at ?? message.created_at, part.mcp_server_config_id),
        args: part.args ?? {},
      });
      return;
    case "tool-result": {
      const index = open.get(part.tool_call_id);
      const call = index === undefined ? undefined : rows[index];
      const row = call?.kind === "tool" ? call : blankTool(part.tool_call_id, part.tool_name, message.created_at, part.mcp_server_config_id);
      const done = finished(row, part.result, part.is_error === true, part.is_media === true, part.created_at ?? message.created_at);
      if (index === undefined) rows.push(done);
      else rows[index] = done;
      open.delete(part.tool_call_id);
      return;
    }
    case "file":
      return addFile(rows, part, key);
    case "source":
      return addSource(rows, part, key);
    default:
      return addNote(rows, part, key);
  }
}

function blankTool(callId: string, name: string, startedAt: string, serverId: string | null = ""): ToolRow {
  return {
    kind: "tool",
    key: `tool-${callId}`,
    callId,
    name,
    serverId: serverId ?? "",
    args: undefined,
    argsText: "",
    state: "running",
    output: "",
    result: undefined,
    isMedia: false,
    startedAt,
    endedAt: null,
    approval: null,
  };
}

function finished(row: ToolRow, result: unknown, isError: boolean, isMedia: boolean, endedAt: string): ToolRow {
  return { ...row, args: row.args ?? {}, state: isError ? "failed" : "done", output: "", result, isMedia, endedAt };
}

function withLiveResult(row: ToolRow, live: LiveToolResult | undefined, open: boolean): ToolRow {
  if (live?.result) return finished(row, live.result.value, live.result.isError, live.result.isMedia, live.result.at);
  return { ...row, output: live?.output ?? "", state: open ? row.state : "stopped" };
}

function liveRows(view: ChatView, results: ReadonlyMap<string, LiveToolResult>, known: ReadonlyMap<string, number>): Row[] {
  const rows: Row[] = [];
  const base = `after-${view.messages.at(-1)?.id ?? 0}`;
  const called = new Set(view.live.flatMap((p) => (p.type === "live-tool-call" ? [p.callId] : [])));
  for (const [index, part] of view.live.entries()) {
    const isLast = index === view.live.length - 1;
    const key = `${base}-${index}`;
    if (part.type === "live-text") rows.push({ kind: "text", key, text: part.text, isLive: true });
    else if (part.type === "live-reasoning") {
      rows.push({ kind: "reasoning", key, text: part.text, isLive: isLast && isBusy(view.status), startedAt: part.startedAt, endedAt: null });
    } else if (part.type === "live-tool-call") rows.push(liveTool(part, results.get(part.callId), isOpen(view)));
    else if (part.type === "live-tool-result") {
      if (!called.has(part.callId) && !known.has(part.callId)) rows.push(withLiveResult(blankTool(part.callId, part.toolName, ""), part, isOpen(view)));
    } else addLiveOther(rows, part.part, key);
  }
  return rows;
}

function liveTool(call: LiveToolCall, result: LiveToolResult | undefined, open: boolean): ToolRow {
  const row: ToolRow = {
    ...blankTool(call.callId, call.toolName, call.startedAt, call.serverId),
    args: call.complete ? (call.args ?? parsed(call.argsText)) : undefined,
    argsText: call.argsText,
    state: call.complete ? "running" : "writing",
  };
  return withLiveResult(row, result, open);
}

function addLiveOther(rows: Row[], part: MessagePart, key: string): void {
  if (part.type === "file") addFile(rows, part, key);
  else if (part.type === "source") addSource(rows, part, key);
  else addNote(rows, part, key);
}

function addFile(rows: Row[], part: FilePart, key: string): void {
  if (rows.some((row) => isPlanOf(row, part))) return;
  const last = rows.at(-1);
  if (last?.kind === "files") rows[rows.length - 1] = { ...last, files: [...last.files, part] };
  else rows.push({ kind: "files", key, files: [part] });
}

/** The card of a plan shows it already. */
const isPlanOf = (row: Row, { file_id: id }: FilePart) => id !== undefined && row.kind === "tool" && row.name === "propose_plan" && str(fieldsOf(row.result)["file_id"]) === id;

function addSource(rows: Row[], part: SourcePart, key: string): void {
  const last = rows.at(-1);
  if (last?.kind === "sources") rows[rows.length - 1] = { ...last, sources: [...last.sources, part] };
  else rows.push({ kind: "sources", key, sources: [part] });
}

function addNote(rows: Row[], part: MessagePart, key: string): void {
  if (part.type === "context-file") rows.push({ kind: "note", key, label: `Read instructions from ${part.context_file_path}`, raw: undefined });
  else if (part.type === "skill") rows.push({ kind: "note", key, label: `Skill available: ${part.skill_name}`, raw: undefined });
  else if (part.type === "unknown") rows.push({ kind: "note", key, label: `Part “${part.kind}”`, raw: part.raw });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text === "" ? {} : text;
  }
}

// How live parts grow and how durable messages replace them. Pure.
import type { ChatMessage, MessagePart, Role, ToolCallPart, ToolResultPart } from "@/api/types.ts";
import type { LivePart, LiveToolCall, LiveToolResult } from "./view.ts";

/** Live output kept per tool; beyond it the oldest text goes. The whole output is in the durable result. */
export const MAX_LIVE_OUTPUT = 200_000;

/** `now` is RFC 3339 text, used where the server gave no time. */
export function appendPart(live: readonly LivePart[], role: Role, part: MessagePart, now: string): readonly LivePart[] {
  switch (part.type) {
    case "text":
      return appendText(live, part.text);
    case "reasoning":
      return appendReasoning(live, part.text, part.created_at ?? now);
    case "tool-call":
      return upsert(live, (p) => p.type === "live-tool-call" && p.callId === part.tool_call_id, (old) => growCall(old, part, now));
    case "tool-result":
      return upsert(live, (p) => p.type === "live-tool-result" && p.callId === part.tool_call_id, (old) => growResult(old, part, now));
    default:
      return [...live, { type: "live-other", role, part }];
  }
}

function appendText(live: readonly LivePart[], text: string): readonly LivePart[] {
  const last = live.at(-1);
  if (last?.type === "live-text") return [...live.slice(0, -1), { ...last, text: last.text + text }];
  return [...live, { type: "live-text", text }];
}

function appendReasoning(live: readonly LivePart[], text: string, startedAt: string): readonly LivePart[] {
  const last = live.at(-1);
  if (last?.type === "live-reasoning") return [...live.slice(0, -1), { ...last, text: last.text + text }];
  return [...live, { type: "live-reasoning", text, startedAt }];
}

function upsert(
  live: readonly LivePart[],
  matches: (part: LivePart) => boolean,
  grow: (old: LivePart | undefined) => LivePart,
): readonly LivePart[] {
  const index = live.findIndex(matches);
  if (index < 0) return [...live, grow(undefined)];
  return live.with(index, grow(live[index]));
}

function growCall(old: LivePart | undefined, part: ToolCallPart, now: string): LiveToolCall {
  const before = old?.type === "live-tool-call" ? old : undefined;
  const isDelta = part.args === undefined && part.args_delta !== undefined;
  return {
    type: "live-tool-call",
    callId: part.tool_call_id,
    toolName: part.tool_name || before?.toolName || "",
    serverId: part.mcp_server_config_id || before?.serverId || "",
    argsText: isDelta ? (before?.argsText ?? "") + part.args_delta : (before?.argsText ?? ""),
    args: isDelta ? before?.args : (part.args ?? before?.args),
    complete: before?.complete === true || !isDelta,
    startedAt: part.created_at ?? before?.startedAt ?? now,
  };
}

function growResult(old: LivePart | undefined, part: ToolResultPart, now: string): LiveToolResult {
  const before = old?.type === "live-tool-result" ? old : undefined;
  const kept = part.result_reset ? "" : (before?.output ?? "");
  const isFinal = part.result !== undefined;
  return {
    type: "live-tool-result",
    callId: part.tool_call_id,
    toolName: part.tool_name || before?.toolName || "",
    output: (kept + (part.result_delta ?? "")).slice(-MAX_LIVE_OUTPUT),
    result: isFinal
      ? { value: part.result, isError: part.is_error === true, isMedia: part.is_media === true, at: part.created_at ?? now }
      : (before?.result ?? null),
  };
}

/** The live parts that remain once `message` is durable. */
export function supersede(live: readonly LivePart[], message: ChatMessage): readonly LivePart[] {
  if (live.length === 0) return live;
  const parts = message.content ?? [];
  const results = new Set(parts.flatMap((p) => (p.type === "tool-result" ? [p.tool_call_id] : [])));
  if (message.role === "tool") return without(live, (p) => p.type === "live-tool-result" && results.has(p.callId));
  if (message.role !== "assistant") return live;
  const calls = new Set(parts.flatMap((p) => (p.type === "tool-call" ? [p.tool_call_id] : [])));
  // Tools of this step go on after the step's own parts are durable: their output stays.
  return without(live, (p) => !(p.type === "live-tool-result" && calls.has(p.callId) && !results.has(p.callId)));
}

/**
 * While a snapshot is arriving, its messages are history. The one exception is the step that became durable in between:
 * it is recognised by its content, never by a guess on position.
 */
export function supersedeInSnapshot(live: readonly LivePart[], message: ChatMessage): readonly LivePart[] {
  if (message.role === "tool") return supersede(live, message);
  return message.role === "assistant" && covers(message, live) ? supersede(live, message) : live;
}

/** Whether `message` contains everything the live step shows, as a step that has just become durable does. */
function covers(message: ChatMessage, live: readonly LivePart[]): boolean {
  const calls = live.flatMap((p) => (p.type === "live-tool-call" ? [p.callId] : []));
  const parts = message.content ?? [];
  if (calls.length > 0) return calls.every((id) => parts.some((p) => p.type === "tool-call" && p.tool_call_id === id));
  const liveText = live.map((p) => (p.type === "live-text" ? p.text : "")).join("");
  const durableText = parts.map((p) => (p.type === "text" ? p.text : "")).join("");
  return liveText !== "" && liveText === durableText;
}

function without(live: readonly LivePart[], drop: (part: LivePart) => boolean): readonly LivePart[] {
  const kept = live.filter((part) => !drop(part));
  return kept.length === live.length ? live : kept;
}

/** Live parts that repeat what `message` already says: left over when a step settled during a snapshot. */
export function dropRepeats(live: readonly LivePart[], message: ChatMessage | undefined): readonly LivePart[] {
  return message?.role === "assistant" && covers(message, live) ? supersede(live, message) : live;
}

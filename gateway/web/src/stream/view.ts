// What a reader of one chat sees: the result of reducing its events. Plain data; nothing here is derived from the rest.
import type { ChatError, ChatMessage, ChatRetry, ChatStatus, MessagePart, PendingToolCall, QueuedMessage, Role } from "@/api/types.ts";

/** A tool call whose arguments are still arriving. */
export interface LiveToolCall {
  type: "live-tool-call";
  callId: string;
  toolName: string;
  /** Of the MCP server whose tool it is; empty for all others, and while nobody has said. */
  serverId: string;
  /** JSON text so far; ends complete, may be cut anywhere before that. */
  argsText: string;
  /** Set once the whole call is known. */
  args: unknown;
  complete: boolean;
  startedAt: string;
}

/** A tool that is running, with its output so far. */
export interface LiveToolResult {
  type: "live-tool-result";
  callId: string;
  toolName: string;
  output: string;
  /** Set when the tool has finished, before its durable message arrives. */
  result: { value: unknown; isError: boolean; isMedia: boolean; at: string } | null;
}

export interface LiveReasoning {
  type: "live-reasoning";
  text: string;
  startedAt: string;
}

export interface LiveText {
  type: "live-text";
  text: string;
}

export interface LiveOther {
  type: "live-other";
  role: Role;
  part: MessagePart;
}

export type LivePart = LiveText | LiveReasoning | LiveToolCall | LiveToolResult | LiveOther;

export interface UnknownEvent {
  /** The newest durable message when the event came; 0 when there was none. */
  afterMessageId: number;
  kind: string;
  raw: unknown;
}

export interface ChatView {
  /** `null` until the first status arrives. */
  status: ChatStatus | null;
  /** Durable messages, ascending by id, each id once. */
  messages: readonly ChatMessage[];
  /** The step in progress, in the order its parts began. */
  live: readonly LivePart[];
  queue: readonly QueuedMessage[];
  retry: ChatRetry | null;
  error: ChatError | null;
  pendingCalls: readonly PendingToolCall[];
  /** Bounded; the oldest are forgotten first. */
  unknown: readonly UnknownEvent[];
  /** Where to continue after a lost connection; `null` when nothing positioned has been seen. */
  cursor: string | null;
  /** How far a fresh snapshot has come; `null` once it is over. Its messages are history and withdraw no live parts. */
  snapshot: SnapshotPhase | null;
}

/** A snapshot is: one status, live parts, messages, queue. */
export type SnapshotPhase = "opening" | "parts" | "messages";

export const emptyView: ChatView = {
  status: null,
  messages: [],
  live: [],
  queue: [],
  retry: null,
  error: null,
  pendingCalls: [],
  unknown: [],
  cursor: null,
  snapshot: null,
};

export function isBusy(status: ChatStatus | null): boolean {
  return status === "pending" || status === "running";
}

export function newestMessageId(view: ChatView): number {
  return view.messages.at(-1)?.id ?? 0;
}

// The events of a chat's stream as typed values. Parsing happens once, here, at the socket; unknown kinds are kept, never dropped.
import type {
  ChatError,
  ChatMessage,
  ChatRetry,
  ChatStatus,
  MessagePart,
  PendingToolCall,
  QueuedMessage,
  Role,
} from "@/api/types.ts";

interface Positioned {
  /** Opaque; handing it back continues behind this event. */
  cursor?: string;
}

export type StreamEvent = Positioned &
  (
    | { type: "status"; status: ChatStatus }
    | { type: "message_part"; role: Role; part: MessagePart }
    | { type: "message"; message: ChatMessage }
    | { type: "error"; error: ChatError }
    | { type: "queue_update"; queue: QueuedMessage[] }
    | { type: "retry"; retry: ChatRetry }
    | { type: "action_required"; calls: PendingToolCall[] }
    | { type: "preview_reset" }
    | { type: "history_reset"; fromMessageId: number }
    | { type: "heartbeat"; serverTime: string }
    | { type: "unknown"; kind: string; raw: unknown }
  );

type Fields = Record<string, unknown>;

const PART_TYPES = new Set(["text", "reasoning", "tool-call", "tool-result", "source", "file", "file-reference", "context-file", "skill"]);

/** One WebSocket frame: an array of events (a lone object is accepted). Text that is no JSON gives no events. */
export function parseFrame(text: string): StreamEvent[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [{ type: "unknown", kind: "unreadable frame", raw: text.slice(0, 200) }];
  }
  return (Array.isArray(value) ? value : [value]).map(parseEvent);
}

export function parseEvent(value: unknown): StreamEvent {
  const fields = asFields(value);
  const kind = typeof fields["type"] === "string" ? fields["type"] : "untyped";
  const event = parseKnown(kind, fields) ?? { type: "unknown" as const, kind, raw: value };
  const cursor = fields["cursor"];
  return typeof cursor === "string" && cursor !== "" ? { ...event, cursor } : event;
}

function parseKnown(kind: string, fields: Fields): StreamEvent | undefined {
  const payload = asFields(fields[kind]);
  switch (kind) {
    case "status":
      return typeof payload["status"] === "string" ? { type: kind, status: payload["status"] as ChatStatus } : undefined;
    case "message_part":
      return { type: kind, role: (payload["role"] as Role | undefined) ?? "assistant", part: parsePart(payload["part"]) };
    case "message":
      return typeof payload["id"] === "number" ? { type: kind, message: normalizeMessage(payload as unknown as ChatMessage) } : undefined;
    case "error":
      return { type: kind, error: { retryable: false, ...(payload as object), message: String(payload["message"] ?? "The turn failed.") } };
    case "queue_update":
      return { type: kind, queue: queueOf(fields["queued_messages"] ?? payload["queued_messages"]) };
    case "retry":
      return { type: kind, retry: { ...(payload as unknown as ChatRetry), error: wordsOf(payload["error"]) } };
    case "action_required":
      return { type: kind, calls: Array.isArray(payload["tool_calls"]) ? (payload["tool_calls"] as PendingToolCall[]) : [] };
    case "preview_reset":
      return { type: kind };
    case "history_reset": {
      const from = payload["from_message_id"] ?? fields["from_message_id"];
      return { type: kind, fromMessageId: typeof from === "number" ? from : 0 };
    }
    case "heartbeat":
      return { type: kind, serverTime: String(fields["server_time"] ?? payload["server_time"] ?? "") };
    default:
      return undefined;
  }
}

/** Gives every part a type this version can switch on. */
export function parsePart(value: unknown): MessagePart {
  const fields = asFields(value);
  const kind = typeof fields["type"] === "string" ? fields["type"] : "untyped";
  if (kind === "unknown" && typeof fields["kind"] === "string") return fields as unknown as MessagePart;
  return PART_TYPES.has(kind) ? (fields as unknown as MessagePart) : { type: "unknown", kind, raw: value };
}

export function normalizeMessage(message: ChatMessage): ChatMessage {
  return { ...message, content: (message.content ?? []).map(parsePart) };
}

function queueOf(value: unknown): QueuedMessage[] {
  if (!Array.isArray(value)) return [];
  return (value as QueuedMessage[]).map((queued) => ({ ...queued, content: (queued.content ?? []).map(parsePart) }));
}

/** The reason of a retry: a sentence, or an error that carries one. */
function wordsOf(error: unknown): string {
  return typeof error === "string" ? error : String(asFields(error)["message"] ?? "");
}

function asFields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

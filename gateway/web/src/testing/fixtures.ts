// Small builders of server shapes for tests: only what a test cares about has to be said.
import type { McpServer } from "@/api/mcp.ts";
import type { Chat, ChatMessage, MessagePart, Role } from "@/api/types.ts";
import { parseEvent, type StreamEvent } from "@/stream/events.ts";
import { connected, initialView, reduceAll } from "@/stream/reduce.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import type { ChatView } from "@/stream/view.ts";

export const CHAT = "0b0f6a5e-8d9e-4d39-9d0c-0e5f8c1f4a11";
export const NOW = "2026-11-21T10:00:00.000Z";

export function message(id: number, role: Role, ...content: MessagePart[]): ChatMessage {
  return { id, chat_id: CHAT, created_at: NOW, role, content };
}

export const text = (value: string): MessagePart => ({ type: "text", text: value });

export function call(id: string, args: unknown = { command: "ls" }, name = "execute"): MessagePart {
  return { type: "tool-call", tool_call_id: id, tool_name: name, args };
}

export function result(id: string, value: unknown = { output: "ok", exit_code: 0 }, name = "execute"): MessagePart {
  return { type: "tool-result", tool_call_id: id, tool_name: name, result: value };
}

export const events = {
  status: (status: string) => parseEvent({ type: "status", status: { status } }),
  part: (part: unknown, role = "assistant") => parseEvent({ type: "message_part", message_part: { role, part } }),
  message: (value: ChatMessage) => parseEvent({ type: "message", message: value }),
  queue: (...ids: number[]) =>
    parseEvent(ids.length === 0 ? { type: "queue_update" } : { type: "queue_update", queued_messages: ids.map((id) => ({ id, chat_id: CHAT, content: [], created_at: NOW })) }),
};

/** A view that is connected and whose snapshot is over. */
export function liveView(...messages: ChatMessage[]): ChatView {
  return play(connected(initialView(null), false), events.status("running"), ...messages.map(events.message), events.queue());
}

export function play(view: ChatView, ...list: StreamEvent[]): ChatView {
  return reduceAll(view, list, NOW);
}

export function chat(change: Partial<Chat> = {}): Chat {
  return {
    id: CHAT,
    organization_id: "org",
    owner_id: "me",
    last_model_config_id: "model",
    title: "A chat",
    status: "waiting",
    last_turn_summary: null,
    created_at: NOW,
    updated_at: NOW,
    archived: false,
    pin_order: 0,
    approval_mode: "never",
    labels: {},
    has_unread: false,
    children: [],
    ...change,
  };
}

export function toolRow(change: Partial<ToolRow> = {}): ToolRow {
  return {
    kind: "tool",
    key: "tool-1",
    callId: "1",
    name: "execute",
    serverId: "",
    args: { command: "cargo test" },
    argsText: "",
    state: "done",
    output: "",
    result: { success: true, output: "fine\n", exit_code: 0, wall_duration_ms: 1_200 },
    isMedia: false,
    startedAt: NOW,
    endedAt: "2026-11-21T10:00:02.000Z",
    approval: null,
    ...change,
  };
}

export function mcpServer(id: string, change: Partial<McpServer> = {}): McpServer {
  return {
    id,
    display_name: id.toUpperCase(),
    slug: id,
    description: "",
    icon_url: "",
    transport: "streamable_http",
    url: `https://${id}.example.com/mcp`,
    auth_type: "none",
    has_oauth2_secret: false,
    has_api_key: false,
    has_custom_headers: false,
    tool_allow_list: [],
    tool_deny_list: [],
    availability: "default_off",
    enabled: true,
    model_intent: false,
    allow_in_plan_mode: false,
    pinned: true,
    forward_coder_headers: false,
    auth_connected: true,
    ...change,
  };
}

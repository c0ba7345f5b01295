// Chats, their messages, queue and files.
import { API_BASE, call, readText } from "./client.ts";
import type { ApprovalDecision, ApprovalMode, BusyBehavior, Chat, ChatMessage, InputPart, MessagesPage, SendResult } from "./types.ts";

/** A model thinks about it, and the server gives it 45 s. */
const TITLE_DEADLINE_MS = 60_000;
export const CHATS_PER_PAGE = 200;
export const MESSAGES_PER_PAGE = 100;

export interface NewChat {
  organization_id: string;
  content: InputPart[];
  model_config_id?: string;
  mcp_server_ids?: readonly string[];
  plan_mode?: PlanMode;
  /** Absent: the least the operator asks for. */
  approval_mode?: ApprovalMode;
}

/** `plan`: the agent looks around and proposes a plan instead of changing anything; empty: it works. */
export type PlanMode = "" | "plan";

export interface NewMessage {
  content: InputPart[];
  model_config_id?: string;
  /** Given: holds for the chat from this message on. */
  plan_mode?: PlanMode;
  /** Given: replaces those of the chat. */
  mcp_server_ids?: readonly string[];
  busy_behavior?: BusyBehavior;
}

export interface Correction {
  content: InputPart[];
  /** Absent: the model the message was sent to. */
  model_config_id?: string;
}

export interface ChatQuery {
  /** `key:value` terms; absent: what is not archived. */
  q?: string | undefined;
  /** `key:value`, all of which must be there. */
  labels?: readonly string[];
  /** Goes on behind this chat. */
  afterId?: string | undefined;
}

export interface ChatPatch {
  title?: string;
  /** Replaces all labels. */
  labels?: Record<string, string>;
  archived?: boolean;
  /** The uuid of zeros unbinds. */
  workspace_id?: string;
  /** 0 unpins, anything greater pins. */
  pin_order?: number;
  /** Refused where the operator asks for more. */
  approval_mode?: ApprovalMode;
}

const at = (id: string) => `/chats/${encodeURIComponent(id)}`;

export const listChats = ({ q, labels, afterId }: ChatQuery = {}) =>
  call<Chat[]>("GET", "/chats", { query: { limit: CHATS_PER_PAGE, q, label: labels, after_id: afterId } });
export const getChat = (id: string) => call<Chat>("GET", at(id));
/** `key` stays the same for as long as the reader means the same chat; so for everything below that takes one. */
export const createChat = (chat: NewChat, key: string) =>
  call<Chat>("POST", "/chats", { body: { ...chat, client_type: "ui" }, idempotencyKey: key });
export const patchChat = (id: string, patch: ChatPatch) => call<void>("PATCH", at(id), { body: patch });
export const interruptChat = (id: string) => call<Chat>("POST", `${at(id)}/interrupt`);
/** Decides all calls that wait for a person, no fewer: 409 when nothing waits any more, or something else does. */
export const decideCalls = (id: string, decisions: readonly ApprovalDecision[], key: string) => call<Chat>("POST", `${at(id)}/approvals`, { body: { decisions }, idempotencyKey: key });
/** Has a model name it anew; takes as long as the model does. */
export const regenerateTitle = (id: string) => call<Chat>("POST", `${at(id)}/title/regenerate`, { deadlineMs: TITLE_DEADLINE_MS });
/** Has a model think of a name, which nobody has taken over yet. Empty if there are no messages. */
export const proposeTitle = (id: string) => call<{ title: string }>("POST", `${at(id)}/title/propose`, { deadlineMs: TITLE_DEADLINE_MS });
/** Tries a failed turn again as it stands. */
export const retryChat = (id: string) => call<unknown>("POST", `${at(id)}/retry`);
/** Has the history summarized; the summary takes its place for the model, not for people. */
export const compactChat = (id: string) => call<unknown>("POST", `${at(id)}/compact`);
/** The model forgets the history; people still see it. */
export const clearContext = (id: string) => call<unknown>("POST", `${at(id)}/clear`);
export const sendMessage = (id: string, message: NewMessage, key?: string) =>
  call<SendResult>("POST", `${at(id)}/messages`, { body: message, idempotencyKey: key });
/** Replaces a user message and everything behind it, and answers again. Drops the queue. */
export const editMessage = (id: string, messageId: number, correction: Correction, key?: string) =>
  call<{ message: ChatMessage; warnings?: string[] }>("PATCH", `${at(id)}/messages/${messageId}`, { body: correction, idempotencyKey: key });
export const deleteQueued = (id: string, queuedId: number) => call<void>("DELETE", `${at(id)}/queue/${queuedId}`);
export const promoteQueued = (id: string, queuedId: number) => call<void>("POST", `${at(id)}/queue/${queuedId}/promote`);
/** `position` counts from 0. */
export const moveQueued = (id: string, queuedId: number, position: number) => call<void>("PATCH", `${at(id)}/queue/${queuedId}`, { body: { position } });

/** Newest first. Without `beforeId` the newest page. */
export const listMessages = (id: string, beforeId?: number) =>
  call<MessagesPage>("GET", `${at(id)}/messages`, { query: { before_id: beforeId, limit: MESSAGES_PER_PAGE } });

export const fileUrl = (fileId: string) => `${API_BASE}/chats/files/${encodeURIComponent(fileId)}`;

/** Plans are at most this long. */
const MAX_PLAN_BYTES = 32_768;
export const readPlan = (fileId: string) => readText(`/chats/files/${encodeURIComponent(fileId)}`, MAX_PLAN_BYTES);

export const MAX_FILE_BYTES = 10_485_760;

export function uploadFile(organizationId: string, file: File): Promise<{ id: string }> {
  const name = file.name.replaceAll(/[^\x20-\x7e]|["\\]/g, "_") || "file";
  return call("POST", "/chats/files", {
    query: { organization: organizationId },
    upload: {
      bytes: file,
      headers: {
        "Content-Type": file.type || "application/octet-stream",
        "Content-Disposition": `attachment; filename="${name}"; filename*=UTF-8''${encodeURIComponent(file.name)}`,
      },
    },
  });
}

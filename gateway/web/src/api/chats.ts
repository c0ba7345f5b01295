// Chats, their messages, queue and files.
import { API_BASE, call } from "./client.ts";
import type { BusyBehavior, Chat, ChatMessage, InputPart, MessagesPage, SendResult } from "./types.ts";

export const CHATS_PER_PAGE = 200;
export const MESSAGES_PER_PAGE = 100;

export interface NewChat {
  organization_id: string;
  content: InputPart[];
  model_config_id?: string;
}

export interface NewMessage {
  content: InputPart[];
  model_config_id?: string;
  busy_behavior?: BusyBehavior;
}

export interface ChatPatch {
  title?: string;
  archived?: boolean;
  /** 0 unpins, anything greater pins. */
  pin_order?: number;
}

const at = (id: string) => `/chats/${encodeURIComponent(id)}`;

export const listChats = (archived: boolean) =>
  call<Chat[]>("GET", "/chats", { query: { limit: CHATS_PER_PAGE, q: archived ? "archived:true" : undefined } });
export const getChat = (id: string) => call<Chat>("GET", at(id));
export const createChat = (chat: NewChat) => call<Chat>("POST", "/chats", { body: { ...chat, client_type: "ui" } });
export const patchChat = (id: string, patch: ChatPatch) => call<void>("PATCH", at(id), { body: patch });
export const interruptChat = (id: string) => call<Chat>("POST", `${at(id)}/interrupt`);
export const sendMessage = (id: string, message: NewMessage) => call<SendResult>("POST", `${at(id)}/messages`, { body: message });
/** Replaces a user message and everything behind it, and answers again. Drops the queue. */
export const editMessage = (id: string, messageId: number, content: InputPart[]) =>
  call<{ message: ChatMessage }>("PATCH", `${at(id)}/messages/${messageId}`, { body: { content } });
export const deleteQueued = (id: string, queuedId: number) => call<void>("DELETE", `${at(id)}/queue/${queuedId}`);
export const promoteQueued = (id: string, queuedId: number) => call<void>("POST", `${at(id)}/queue/${queuedId}/promote`);

/** Newest first. Without `beforeId` the newest page. */
export const listMessages = (id: string, beforeId?: number) =>
  call<MessagesPage>("GET", `${at(id)}/messages`, { query: { before_id: beforeId, limit: MESSAGES_PER_PAGE } });

export const fileUrl = (fileId: string) => `${API_BASE}/chats/files/${encodeURIComponent(fileId)}`;

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

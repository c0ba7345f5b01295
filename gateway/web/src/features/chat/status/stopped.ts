// Whether the last turn was ended by the reader, as far as what is stored tells. Pure.
import type { Chat, ChatMessage } from "@/api/types.ts";
import type { ChatView } from "@/stream/view.ts";
import { isAskingTool } from "../answering.ts";
import { COMPACTION_TOOL } from "../compacted.ts";
import { isAsked, isContext } from "@/lib/speech.ts";

/**
 * How the last turn ended. A turn that came to its end has an answer without calls as its last message; one that was stopped may
 * have no answer, results nobody went on with, or a piece of an answer. A piece looks like an answer but has no account of what
 * it cost: that tells only where the same model gives one, so else it is `unknown`. A plan or a question that was laid before the reader
 * is an end as good as an answer.
 */
export type TurnEnd = "finished" | "unanswered" | "cut" | "unknown";

export function turnEnd(view: ChatView): TurnEnd {
  const last = view.messages.findLast((message) => !isContext(message));
  // Only a chat at rest has an ended turn that did not fail.
  if (view.status !== "waiting" || last === undefined || isCompaction(last)) return "finished";
  if (last.role === "user") return "unanswered";
  if (hasAsked(view.messages)) return "finished";
  if (last.role !== "assistant" || hasCalls(last)) return "cut";
  if (last.usage !== undefined) return "finished";
  const accounts = view.messages.some((message) => message.usage !== undefined && message.model_config_id === last.model_config_id);
  return accounts ? "cut" : "unknown";
}

/**
 * Whether the chat's own row tells that its last turn did not end by itself: then it has no summary. Only a row that is as new as
 * the last message tells, and sub-chats never have one.
 */
export function rowTellsCut(chat: Chat | undefined, view: ChatView): boolean {
  const last = view.messages.at(-1);
  if (chat === undefined || last === undefined || chat.parent_chat_id !== undefined) return false;
  return chat.status === "waiting" && chat.last_turn_summary === null && Date.parse(chat.updated_at) >= Date.parse(last.created_at);
}

const parts = (message: ChatMessage) => message.content ?? [];

function isCompaction(message: ChatMessage): boolean {
  return parts(message).some((part) => (part.type === "tool-call" || part.type === "tool-result") && part.tool_name === COMPACTION_TOOL);
}

/** Whether the last step laid something before the reader. */
function hasAsked(messages: readonly ChatMessage[]): boolean {
  const step = messages.slice(messages.findLastIndex((message) => message.role === "assistant" && hasCalls(message)) + 1);
  return !step.some(isAsked) && step.some((message) => parts(message).some((part) => part.type === "tool-result" && part.is_error !== true && isAskingTool(part.tool_name)));
}

function hasCalls(message: ChatMessage): boolean {
  return parts(message).some((part) => part.type === "tool-call" && part.provider_executed !== true);
}

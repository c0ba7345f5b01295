// From events to the view of a chat. Pure: no clock, no sockets, no React. Applying the same durable event twice changes nothing.
import type { ChatMessage, ChatStatus } from "@/api/types.ts";
import type { StreamEvent } from "./events.ts";
import { appendPart, dropRepeats, supersede, supersedeInSnapshot } from "./live.ts";
import { type ChatView, emptyView, newestMessageId } from "./view.ts";

/** Events of unknown kinds that are remembered. */
export const MAX_UNKNOWN = 20;

/** `now` is RFC 3339 text; it dates parts the server gave no time for. */
export function reduce(view: ChatView, event: StreamEvent, now: string): ChatView {
  const next = apply(view, event, now);
  return event.cursor !== undefined && event.cursor !== next.cursor ? { ...next, cursor: event.cursor } : next;
}

export function reduceAll(view: ChatView, events: readonly StreamEvent[], now: string): ChatView {
  return events.reduce((current, event) => reduce(current, event, now), view);
}

/**
 * A connection has opened. A resumed one continues behind the cursor; a fresh one sends a snapshot that tells everything
 * live again, so what was live before is withdrawn.
 */
export function connected(view: ChatView, resumed: boolean): ChatView {
  if (resumed) return view;
  return { ...view, live: [], retry: null, pendingCalls: [], cursor: null, snapshot: "opening" };
}

/** The snapshot must be over by now, whatever its last event was. */
export function snapshotOver(view: ChatView): ChatView {
  return view.snapshot === null ? view : { ...view, snapshot: null };
}

/** A message of the reader's has been taken: its turn begins, as the stream will tell in a moment. */
export function begun(view: ChatView): ChatView {
  return view.status === "waiting" || view.status === "error" ? { ...view, status: "pending", error: null, retry: null } : view;
}

/** Adds a page of older or newer durable messages, in any order; ids already present keep their row. */
export function withMessages(view: ChatView, page: readonly ChatMessage[]): ChatView {
  const messages = mergeMessages(view.messages, page);
  return messages === view.messages ? view : { ...view, messages };
}

export function initialView(status: ChatStatus | null): ChatView {
  return { ...emptyView, status };
}

function apply(view: ChatView, event: StreamEvent, now: string): ChatView {
  switch (event.type) {
    case "status":
      return applyStatus(view, event.status);
    case "message_part":
      return {
        ...view,
        // Within a snapshot parts come before messages, so a part behind a message is news.
        snapshot: view.snapshot === "messages" ? null : view.snapshot,
        live: appendPart(view.live, event.role, event.part, now),
        retry: null,
      };
    case "message":
      return applyMessage(view, event.message);
    case "error":
      return { ...view, error: event.error, retry: null };
    case "queue_update":
      return { ...view, queue: event.queue, snapshot: null };
    case "retry":
      return { ...view, retry: event.retry };
    case "action_required":
      return { ...view, pendingCalls: event.calls };
    case "preview_reset":
      return view.live.length === 0 ? view : { ...view, live: [] };
    case "history_reset":
      return { ...view, live: [], messages: view.messages.filter((m) => m.id < event.fromMessageId) };
    case "heartbeat":
      return view;
    case "unknown":
      return {
        ...view,
        unknown: [...view.unknown, { afterMessageId: newestMessageId(view), kind: event.kind, raw: event.raw }].slice(-MAX_UNKNOWN),
      };
  }
}

function applyStatus(view: ChatView, status: ChatStatus): ChatView {
  const settled = status === "waiting" || status === "error" || status === "requires_action";
  return {
    ...view,
    status,
    // A snapshot has one status, its first event; another one is news.
    snapshot: view.snapshot === "opening" ? "parts" : null,
    live: settled ? dropRepeats(view.live, view.messages.findLast((m) => m.role === "assistant")) : view.live,
    error: status === "error" ? view.error : null,
    retry: status === "running" ? view.retry : null,
    pendingCalls: status === "requires_action" ? view.pendingCalls : [],
  };
}

function applyMessage(view: ChatView, message: ChatMessage): ChatView {
  const live = view.snapshot === null ? supersede(view.live, message) : supersedeInSnapshot(view.live, message);
  // An answer ends the wait for another attempt, unless it is history told by a snapshot.
  const retry = message.role === "assistant" && view.snapshot === null ? null : view.retry;
  return { ...view, live, snapshot: view.snapshot && "messages", retry, messages: mergeMessages(view.messages, [message]) };
}

function mergeMessages(messages: readonly ChatMessage[], page: readonly ChatMessage[]): readonly ChatMessage[] {
  const [only] = page;
  const last = messages.at(-1);
  if (page.length === 1 && only !== undefined && (last === undefined || only.id > last.id)) return [...messages, only];
  // A durable row never changes under its id: keeping the old object means nothing re-renders.
  const known = new Set(messages.map((m) => m.id));
  const fresh = page.filter((m) => !known.has(m.id) && known.add(m.id));
  return fresh.length === 0 ? messages : [...messages, ...fresh].toSorted((a, b) => a.id - b.id);
}

// The feed of changes in all of the user's chats. After every (re)connection the list must be read again: the feed has no replay.
import { getMe } from "@/api/account.ts";
import { socketUrl } from "@/api/client.ts";
import { ApiError } from "@/api/problem.ts";
import type { ChatWatchEvent } from "@/api/types.ts";
import { type Connection, ReconnectingSocket } from "./socket.ts";

export interface WatchHandlers {
  event: (event: ChatWatchEvent) => void;
  /** Read the list again. */
  opened: () => void;
  changed: (connection: Connection) => void;
}

/** Returns the function that ends the watch. */
export function watchChats(handlers: WatchHandlers): () => void {
  const socket = new ReconnectingSocket({
    url: () => socketUrl("/chats/watch", { heartbeat: 1 }),
    opened: handlers.opened,
    changed: handlers.changed,
    frame: (text) => {
      const events = parseWatchFrame(text);
      for (const event of events) handlers.event(event);
      return events.length === 0;
    },
    mayRetry: async () => {
      try {
        await getMe();
        return true;
      } catch (error) {
        return !(error instanceof ApiError && error.status === 401);
      }
    },
  });
  socket.start();
  return () => socket.stop();
}

/** A frame without any chat in it is a heartbeat. */
export function parseWatchFrame(text: string): ChatWatchEvent[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  return (Array.isArray(value) ? value : [value]).filter(isWatchEvent);
}

function isWatchEvent(value: unknown): value is ChatWatchEvent {
  if (typeof value !== "object" || value === null || !("kind" in value) || !("chat" in value)) return false;
  return typeof value.kind === "string" && typeof value.chat === "object" && value.chat !== null;
}

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
      const { events, hasGap, isBeat } = parseWatchFrame(text);
      for (const event of events) handlers.event(event);
      if (hasGap) handlers.opened();
      return isBeat;
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

export interface WatchFrame {
  events: ChatWatchEvent[];
  /** The server has left something out: read the list again. */
  hasGap: boolean;
  isBeat: boolean;
}

/** One event or several. A frame with nothing in it that this version knows is taken for a sign of life. */
export function parseWatchFrame(text: string): WatchFrame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { events: [], hasGap: false, isBeat: false };
  }
  const all: unknown[] = Array.isArray(value) ? value : [value];
  const events = all.filter(isWatchEvent);
  const hasGap = all.some((event) => kindOf(event) === "gap");
  return { events, hasGap, isBeat: events.length === 0 && !hasGap };
}

function kindOf(value: unknown): unknown {
  return typeof value === "object" && value !== null && "kind" in value ? value.kind : undefined;
}

function isWatchEvent(value: unknown): value is ChatWatchEvent {
  if (typeof kindOf(value) !== "string" || typeof value !== "object" || value === null || !("chat" in value)) return false;
  return typeof value.chat === "object" && value.chat !== null;
}

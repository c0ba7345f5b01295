import { useEffect, useSyncExternalStore } from "react";
import { type ChatSession, sessionFor, type SessionState } from "@/stream/session.ts";

/** The open chat: connected while the component is on the page. */
export function useSession(chatId: string): [ChatSession, SessionState] {
  const session = sessionFor(chatId);
  const state = useSyncExternalStore(session.subscribe, session.getState);
  useEffect(() => {
    session.start();
    return () => session.stop();
  }, [session]);
  return [session, state];
}

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Chat } from "@/api/types.ts";
import type { Connection } from "@/stream/socket.ts";
import { watchChats } from "@/stream/watch.ts";
import { withWatchEvent } from "./chatList.ts";
import { keys } from "./keys.ts";

/** Keeps the list of chats live; `openId` is the chat on screen. */
export function useWatch(openId: string | null): Connection {
  const client = useQueryClient();
  const [connection, setConnection] = useState<Connection>({ phase: "connecting" });
  const open = useRef(openId);
  useEffect(() => {
    open.current = openId;
    // Opening a chat is reading it.
    client.setQueryData<Chat[]>(keys.chats, (chats) => chats?.map((c) => (c.id === openId && c.has_unread ? { ...c, has_unread: false } : c)));
  }, [client, openId]);
  useEffect(
    () =>
      watchChats({
        event: (event) => client.setQueryData<Chat[]>(keys.chats, (chats) => chats && withWatchEvent(chats, event, open.current)),
        opened: () => void client.invalidateQueries({ queryKey: keys.chats, exact: true }),
        changed: setConnection,
      }),
    [client],
  );
  return connection;
}

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Chat } from "@/api/types.ts";
import type { Connection } from "@/stream/socket.ts";
import { watchChats } from "@/stream/watch.ts";
import { withWatchEvent } from "./chatList.ts";
import { keys } from "./keys.ts";
import { useChats } from "./queries.ts";
import { withoutRead } from "./readMarks.ts";

/** Keeps the list of chats live; `openId` is the chat on screen. */
export function useWatch(openId: string | null): Connection {
  const client = useQueryClient();
  const { data: chats } = useChats();
  const [connection, setConnection] = useState<Connection>({ phase: "connecting" });
  const open = useRef(openId);
  useEffect(() => {
    open.current = openId;
    // Opening a chat is reading it, and so is having it open while something happens in it.
    client.setQueryData<readonly Chat[]>(keys.chats, (known) => known && withoutRead(known, openId));
  }, [client, openId, chats]);
  useEffect(
    () =>
      watchChats({
        event: (event) => client.setQueryData<Chat[]>(keys.chats, (known) => known && withWatchEvent(known, event, open.current)),
        opened: () => void client.invalidateQueries({ queryKey: keys.chats, exact: true }),
        changed: setConnection,
      }),
    [client],
  );
  return connection;
}

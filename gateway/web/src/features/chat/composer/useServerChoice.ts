import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Chat } from "@/api/types.ts";
import { keys } from "@/data/keys.ts";
import { useUsableServers } from "@/data/mcp.ts";
import { defaultChoice, toggled } from "@/lib/mcpChoice.ts";

export interface ServerChoice {
  /** Chosen for the chat, with what was just changed. */
  chosen: readonly string[];
  /** What has to be sent along; absent while nothing has to. */
  sent: readonly string[] | undefined;
  /** The chat is there already, so a change holds from the next message on. */
  isBegun: boolean;
  toggle: (id: string) => void;
}

/** The MCP servers of a chat that is there. A change goes along with the next message; `settle` tells that it has. */
export function useServerChoice(chat: Chat | undefined): ServerChoice & { settle: () => void } {
  const client = useQueryClient();
  const [changed, setChanged] = useState<readonly string[] | null>(null);
  const stored = chat?.mcp_server_ids ?? [];
  const chosen = changed ?? stored;
  return {
    chosen,
    sent: changed ?? undefined,
    isBegun: true,
    toggle: (id) => setChanged(sameAs(stored, toggled(chosen, id))),
    settle: () => {
      if (changed === null || !chat) return;
      const withChosen = (one: Chat): Chat => (one.id === chat.id ? { ...one, mcp_server_ids: [...changed] } : one);
      client.setQueryData<Chat[]>(keys.chats, (all) => all?.map((one) => ({ ...withChosen(one), children: one.children.map(withChosen) })));
      client.setQueryData<Chat>(keys.chat(chat.id), (one) => one && withChosen(one));
      setChanged(null);
    },
  };
}

/** `null` when the wish is what is there already. */
const sameAs = (stored: readonly string[], wished: readonly string[]): readonly string[] | null => (wished.length === stored.length && wished.every((id) => stored.includes(id)) ? null : wished);

/** The MCP servers of a chat that is about to begin. */
export function useNewServerChoice(): ServerChoice {
  const servers = useUsableServers();
  const [changed, setChanged] = useState<readonly string[] | null>(null);
  const chosen = changed ?? defaultChoice(servers);
  return { chosen, sent: servers.length > 0 ? chosen : undefined, isBegun: false, toggle: (id) => setChanged(toggled(chosen, id)) };
}

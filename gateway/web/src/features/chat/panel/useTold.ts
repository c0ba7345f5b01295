import { useQuery } from "@tanstack/react-query";
import { getChat } from "@/api/chats.ts";
import type { Chat } from "@/api/types.ts";
import { keys } from "@/data/keys.ts";

/** What the model is told of the workspace now. Asked for anew whenever the chat has moved on: only a chat asked for by itself tells. */
export const useTold = ({ id, status, updated_at }: Chat) =>
  useQuery({ queryKey: keys.told(id, `${status} ${updated_at}`), queryFn: async () => (await getChat(id)).last_injected_context ?? [], placeholderData: (before) => before });

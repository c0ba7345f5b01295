import type { ReactNode } from "react";
import type { Chat, PendingToolCall } from "@/api/types.ts";
import { ApprovalsContext, NOTHING_WAITS } from "./approvals.ts";
import { useDeciding } from "./useDeciding.ts";

interface ApprovalsProviderProps {
  chatId: string;
  chat: Chat | undefined;
  pending: readonly PendingToolCall[];
  /** What is shown turned out to be old. */
  onOld: () => void;
  children: ReactNode;
}

/** Lets cards, the end of the conversation and the message field know what waits for the reader's word. */
export function ApprovalsProvider({ chatId, chat, pending, onOld, children }: ApprovalsProviderProps) {
  const deciding = useDeciding(chatId, chat, pending, onOld);
  // What does not change while nothing waits draws nothing anew.
  return <ApprovalsContext value={deciding.calls.length > 0 ? deciding : NOTHING_WAITS}>{children}</ApprovalsContext>;
}

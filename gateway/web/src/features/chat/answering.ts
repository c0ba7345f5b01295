import { createContext, useContext } from "react";
import type { PlanMode } from "@/api/chats.ts";
import type { Row, ToolRow } from "@/stream/timeline.ts";

/** Answering what the agent has laid before the reader, from the card on which it stands. */
export interface Answering {
  /** The card that waits for an answer; `null` when none does. */
  rowKey: string | null;
  /** Sends a message, and with a mode the chat changes to it. */
  say: (text: string, mode?: PlanMode) => Promise<void>;
}

export const AnsweringContext = createContext<Answering>({ rowKey: null, say: async () => undefined });
export const useAnswering = () => useContext(AnsweringContext);

const ASKING = new Set(["propose_plan", "ask_user_question"]);

/** Whether a tool of this name lays something before the reader and so ends the turn. */
export const isAskingTool = (name: string): boolean => ASKING.has(name);

/** The plan or question at the end of the conversation that nobody has said anything to yet. */
export function awaitedRow(rows: readonly Row[]): ToolRow | null {
  for (const row of rows.toReversed()) {
    if (row.kind === "user") return null;
    if (row.kind === "tool" && isAskingTool(row.name)) return row.state === "done" ? row : null;
  }
  return null;
}

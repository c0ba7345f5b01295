import { useState } from "react";
import type { PlanMode } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import { useAnswering } from "../answering.ts";

/** Sends an answer from a card, and says there what became of it. */
export function useAnswer() {
  const { say } = useAnswering();
  const [isSending, setSending] = useState(false);
  const [problem, setProblem] = useState("");
  const answer = (text: string, mode?: PlanMode) => {
    setSending(true);
    setProblem("");
    say(text, mode)
      .catch((error: unknown) => setProblem(describe(error)))
      .finally(() => setSending(false));
  };
  return { isSending, problem, answer };
}

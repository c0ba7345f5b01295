import { useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { decideCalls, getChat } from "@/api/chats.ts";
import { ApiError, describe } from "@/api/problem.ts";
import type { Chat, PendingToolCall } from "@/api/types.ts";
import { returnToComposer } from "@/components/focus.ts";
import { toast } from "@/components/toasts.ts";
import { useChatActions } from "@/data/chatActions.ts";
import { keys } from "@/data/keys.ts";
import { useMe } from "@/data/queries.ts";
import { newKey } from "@/lib/intents.ts";
import { type Approvals, APPROVE, decisionsOn, isWaiting, nameOf, type Verdict } from "./approvals.ts";

const DECIDED = "It was decided already, here or on another device, or something else waits now.";
const UNCERTAIN = "No answer from the server. What you decided may have arrived all the same.";

type Verdicts = ReadonlyMap<string, Verdict>;
const NONE: Verdicts = new Map();

/** What waits in a chat for its reader's word. `refresh` has everything told again, when what is shown is old. */
export function useDeciding(chatId: string, chat: Chat | undefined, pending: readonly PendingToolCall[], refresh: () => void): Approvals {
  const { data: me } = useMe();
  const { setApprovalMode } = useChatActions();
  const calls = useMemo(() => pending.filter(isWaiting), [pending]);
  const [verdicts, setVerdicts] = useState(NONE);
  const [isPosting, setPosting] = useState(false);
  /** The wait whose end the server has confirmed and the stream has yet to tell. */
  const [sentFor, setSentFor] = useState<readonly PendingToolCall[] | null>(null);
  /** The same decisions carry the same key, however often they are sent. */
  const attempt = useRef({ fingerprint: "", key: "" });
  const [problem, setProblem] = useState("");
  const [askingIsRequired, setAskingIsRequired] = useState("");
  const [drafts] = useState(() => new Map<string, string>());
  if (sentFor !== null && sentFor !== pending) {
    setSentFor(null);
    setVerdicts(NONE);
  }
  if (problem !== "" && calls.length === 0) setProblem("");
  const { data: expiresAt = null } = useQuery({
    queryKey: keys.wait(chatId, calls.map(nameOf).join()),
    // Only the chat itself tells, and it is asked once for each wait.
    queryFn: async () => (await getChat(chatId)).action_expires_at ?? null,
    enabled: calls.length > 0,
  });

  const send = async (all: Verdicts) => {
    const decisions = decisionsOn(calls, all);
    if (decisions === null) return;
    const fingerprint = JSON.stringify(decisions);
    if (attempt.current.fingerprint !== fingerprint) attempt.current = { fingerprint, key: newKey() };
    setPosting(true);
    setProblem("");
    try {
      await decideCalls(chatId, decisions, attempt.current.key);
      attempt.current = { fingerprint: "", key: "" };
      setSentFor(pending);
      returnToComposer();
    } catch (error) {
      const isUncertain = error instanceof ApiError && error.mayHaveHappened;
      // What was refused is over; what got lost may have been taken.
      if (!isUncertain) attempt.current = { fingerprint: "", key: "" };
      if (error instanceof ApiError && error.status === 409) {
        setVerdicts(NONE);
        toast(`${DECIDED} ${describe(error)}`);
        refresh();
      } else setProblem(isUncertain ? UNCERTAIN : `Not sent. ${describe(error)}`);
    } finally {
      setPosting(false);
    }
  };
  const settle = (next: Verdicts) => {
    setVerdicts(next);
    void send(next);
  };
  const withRest = (verdict: Verdict): Verdicts => new Map([...calls.map((call) => [nameOf(call), verdict] as const), ...verdicts]);
  const named = (callId: string) => {
    const call = calls.find((one) => one.tool_call_id === callId);
    return call && nameOf(call);
  };
  const stopAsking = async () => {
    if (!chat) return;
    setPosting(true);
    setProblem("");
    try {
      await setApprovalMode(chat, "never");
    } catch (error) {
      if (error instanceof ApiError && error.status === 400) setAskingIsRequired(describe(error));
      else setProblem(describe(error));
      setPosting(false);
      return;
    }
    settle(withRest(APPROVE));
  };

  return {
    calls,
    mayDecide: chat === undefined || me === undefined || chat.owner_id === me.id,
    expiresAt,
    verdictOn: (callId) => verdicts.get(named(callId) ?? "") ?? null,
    undecided: calls.filter((call) => !verdicts.has(nameOf(call))).length,
    isSending: isPosting || sentFor === pending,
    problem,
    decide: (callId, verdict) => {
      const name = named(callId);
      if (name === undefined) return;
      const next = new Map(verdicts);
      next.delete(name);
      settle(verdict === null ? next : next.set(name, verdict));
    },
    decideRest: (verdict) => settle(withRest(verdict)),
    sendAgain: () => void send(verdicts),
    askingIsRequired,
    stopAsking: () => void stopAsking(),
    drafts,
  };
}

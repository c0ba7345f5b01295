import { type KeyboardEvent, useEffect, useEffectEvent, useState } from "react";
import type { PlanMode } from "@/api/chats.ts";
import { ApiError, describe, type SpentUp } from "@/api/problem.ts";
import type { BusyBehavior } from "@/api/types.ts";
import { readDraft, writeDraft } from "@/lib/drafts.ts";
import { type Intent, intentFor, type Mark, pendingIntent, settleIntent } from "@/lib/intents.ts";
import type { Attachments } from "./useAttachments.ts";
import type { CommandMenu } from "./useCommands.ts";

export interface Outgoing {
  text: string;
  fileIds: readonly string[];
  behavior: BusyBehavior;
  /** The same on every attempt to send the same thing. */
  key: string;
}

interface Options {
  draftKey: string;
  attachments: Attachments;
  /** The model that is sent along; empty when none is. */
  modelId: string;
  /** The MCP servers that are sent along; absent when none are. */
  serverIds?: readonly string[] | undefined;
  /** The mode that is sent along; absent when none is. */
  planMode?: PlanMode | undefined;
  /** Earlier prompts, newest first. */
  prompts: readonly string[];
  isBusy: boolean;
  /** Where the chat stands; absent while nobody knows. */
  mark: Mark | undefined;
  /** Whether a text whose confirmation got lost is in the chat by now. */
  hasArrived: (text: string, mark: Mark) => boolean;
  onSend: (message: Outgoing) => Promise<void>;
  onStop: () => void;
}

export interface Problem {
  tone: "danger" | "warn";
  title: string;
  text: string;
  /** A spending limit is the cause, and this is it. */
  spentUp?: SpentUp;
}

const REFUSED = "Not sent. Your text is still here.";
const SPENT_UP = "Your spending limit is reached. Your text is still here.";
const UNCERTAIN = "No answer from the server. Your text is still here.";
const UNCERTAIN_HINT = "It may have arrived all the same: then it appears in the chat, and this field empties by itself.";

function refusal(error: unknown): Problem {
  const spentUp = error instanceof ApiError ? error.spentUp : null;
  return spentUp ? { tone: "warn", title: SPENT_UP, text: "", spentUp } : { tone: "danger", title: REFUSED, text: describe(error) };
}

/** The composer's state: the text is kept, here and in the browser, until the server has confirmed it. */
export function useComposer({ draftKey, attachments, modelId, serverIds, planMode, prompts, isBusy, mark, hasArrived, onSend, onStop }: Options) {
  const [text, setText] = useState(() => readDraft(draftKey));
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [unconfirmed, setUnconfirmed] = useState<Intent | null>(() => pendingIntent(draftKey, Date.now()));
  /** Which earlier prompt is shown; -1 for the reader's own text. */
  const [recalled, setRecalled] = useState(-1);

  const change = (value: string) => {
    setText(value);
    setRecalled(-1);
    writeDraft(draftKey, value);
  };
  const done = () => {
    settleIntent(draftKey);
    setUnconfirmed(null);
    setProblem(null);
    change("");
    attachments.clear();
  };
  const arrivedAnyway = !sending && unconfirmed?.mark !== undefined && unconfirmed.words === text.trim() && hasArrived(unconfirmed.words, unconfirmed.mark);
  const finish = useEffectEvent(done);
  useEffect(() => {
    if (!arrivedAnyway) return undefined;
    const timer = setTimeout(finish);
    return () => clearTimeout(timer);
  }, [arrivedAnyway]);

  const canSend = !sending && !attachments.isBusy && (text.trim() !== "" || attachments.fileIds.length > 0);
  const send = async (behavior: BusyBehavior) => {
    if (!canSend) return;
    const words = text.trim();
    const { fileIds } = attachments;
    const intent = intentFor(draftKey, { words, fingerprint: JSON.stringify([words, fileIds, behavior, modelId, ...(serverIds ? [serverIds] : []), ...(planMode === undefined ? [] : [{ planMode }])]), mark }, Date.now());
    setSending(true);
    setProblem(null);
    try {
      await onSend({ text: words, fileIds, behavior, key: intent.key });
      done();
    } catch (error) {
      const isUncertain = error instanceof ApiError && error.mayHaveHappened;
      // What was refused is no attempt any more; what got lost may still arrive.
      if (isUncertain) setUnconfirmed(intent);
      else settleIntent(draftKey);
      setProblem(isUncertain ? { tone: "warn", title: UNCERTAIN, text: UNCERTAIN_HINT } : refusal(error));
    } finally {
      setSending(false);
    }
  };
  const recall = (step: number) => {
    const next = Math.min(Math.max(recalled + step, -1), prompts.length - 1);
    setRecalled(next);
    setText(next < 0 ? "" : (prompts[next] ?? ""));
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>, menu: CommandMenu, submit: (behavior: BusyBehavior) => void) => {
    if (event.nativeEvent.isComposing || menu.onKeyDown(event)) return;
    const touch = window.matchMedia("(pointer: coarse)").matches;
    const modified = event.metaKey || event.ctrlKey;
    if (event.key === "Enter" && (modified || (!event.shiftKey && !touch))) {
      event.preventDefault();
      submit("queue");
    } else if (event.key === "Escape" && isBusy) {
      event.preventDefault();
      onStop();
    } else if (event.key === "ArrowUp" && (text === "" || recalled >= 0) && prompts.length > 0) {
      event.preventDefault();
      recall(1);
    } else if (event.key === "ArrowDown" && recalled >= 0) {
      event.preventDefault();
      recall(-1);
    }
  };
  return { text, change, sending, problem, setProblem, canSend, send, onKeyDown };
}

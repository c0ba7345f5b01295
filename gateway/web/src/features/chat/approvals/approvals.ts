import { createContext, useContext } from "react";
import type { ApprovalDecision, ApprovalRequest, PendingToolCall } from "@/api/types.ts";

/** A call that waits for a person's word. */
export interface WaitingCall extends PendingToolCall {
  approval: ApprovalRequest;
}

export interface Verdict {
  decision: "approve" | "decline";
  /** Told to the model; only with what is declined. */
  note: string;
}

export const APPROVE: Verdict = { decision: "approve", note: "" };

/** What waits for the reader's word in the open chat, and saying it. The server takes all words at once: they are gathered here until then. */
export interface Approvals {
  calls: readonly WaitingCall[];
  /** The reader is the one who is asked. */
  mayDecide: boolean;
  /** When the wait ends by itself; `null` while nobody knows. */
  expiresAt: string | null;
  /** What was said about a call and is not sent yet. */
  verdictOn: (callId: string) => Verdict | null;
  undecided: number;
  /** On its way, or taken by the server. */
  isSending: boolean;
  /** Why nothing was sent; empty when nothing went wrong. */
  problem: string;
  /** `null` takes it back. The last one sends them all. */
  decide: (callId: string, verdict: Verdict | null) => void;
  /** Everything nothing was said about yet. */
  decideRest: (verdict: Verdict) => void;
  sendAgain: () => void;
  /** Why the server does not let the chat stop asking; empty as far as is known. */
  askingIsRequired: string;
  /** From now on nothing is asked in this chat; what waits is approved, but for what was declined. */
  stopAsking: () => void;
  /** Notes that are being written, by what they are about: they outlive their card's being scrolled out of view. */
  drafts: Map<string, string>;
}

const nothing = () => undefined;
export const NOTHING_WAITS: Approvals = {
  calls: [],
  mayDecide: false,
  expiresAt: null,
  verdictOn: () => null,
  undecided: 0,
  isSending: false,
  problem: "",
  decide: nothing,
  decideRest: nothing,
  sendAgain: nothing,
  askingIsRequired: "",
  stopAsking: nothing,
  drafts: new Map(),
};
export const ApprovalsContext = createContext(NOTHING_WAITS);
export const useApprovals = () => useContext(ApprovalsContext);

export const isWaiting = (call: PendingToolCall): call is WaitingCall => call.approval !== undefined;

/** What was said holds for what was shown: something else under the same id has a name of its own. */
export const nameOf = ({ tool_call_id: id, approval: { digest } }: WaitingCall): string => `${id} ${digest}`;

/** What is sent; `null` as long as something is undecided. */
export function decisionsOn(calls: readonly WaitingCall[], verdicts: ReadonlyMap<string, Verdict>): ApprovalDecision[] | null {
  const decisions: ApprovalDecision[] = [];
  for (const call of calls) {
    const verdict = verdicts.get(nameOf(call));
    if (verdict === undefined) return null;
    const reason = verdict.note.trim();
    const isExplained = verdict.decision === "decline" && reason !== "";
    decisions.push({ tool_call_id: call.tool_call_id, digest: call.approval.digest, decision: verdict.decision, ...(isExplained && { reason }) });
  }
  return calls.length === 0 ? null : decisions;
}

import { Check, X } from "lucide-react";
import { useId, useState } from "react";
import { Button } from "@/components/Button.tsx";
import { focusById, whenDrawn } from "@/components/focus.ts";
import { Spinner } from "@/components/Spinner.tsx";
import { riskWords, sentence } from "@/lib/approvals.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { APPROVE, useApprovals, type Verdict } from "./approvals.ts";
import { DeclineForm } from "./DeclineForm.tsx";
import { StopAsking } from "./StopAsking.tsx";

interface ApprovalPanelProps {
  row: ToolRow;
  /** The call, in a few words. */
  name: string;
}

/** Below a call that waits: why the reader is asked, and the answer. */
export function ApprovalPanel({ row: { callId, approval }, name }: ApprovalPanelProps) {
  const id = useId();
  const { calls, mayDecide, verdictOn, isSending, decide, drafts } = useApprovals();
  const [isNoting, setNoting] = useState(() => drafts.has(callId));
  if (approval === null) return null;
  const verdict = verdictOn(callId);
  const say = (next: Verdict | null) => {
    setNoting(false);
    decide(callId, next);
    // The button that was pressed is gone.
    whenDrawn(() => focusById(next === null ? `${id}-approve` : `${id}-change`));
  };
  return (
    <div role="group" aria-label={`Approval: ${name}`} className="border-t border-warn-line bg-warn-soft px-3.5 py-3">
      <p className="font-medium wrap-anywhere">{sentence(approval.reason)}</p>
      <p className="mt-1.5 flex flex-wrap items-center gap-x-2.5 gap-y-1 text-xs text-muted">
        <span className="rounded-full border border-warn-line bg-raised px-2 py-px font-medium text-warn">{riskWords(approval.risk)}</span>
        {mayDecide ? "You are asked: this chat is yours." : "The owner of this chat is asked. Only they can decide."}
      </p>
      {!mayDecide ? null : verdict !== null ? (
        <Said id={`${id}-change`} verdict={verdict} name={name} isSending={isSending} onChange={() => say(null)} />
      ) : isNoting ? (
        <DeclineForm
          about={callId}
          action="Decline the call"
          onDecline={(note) => say({ decision: "decline", note })}
          onCancel={() => {
            setNoting(false);
            whenDrawn(() => focusById(`${id}-decline`));
          }}
        />
      ) : (
        <div className="mt-3 flex flex-wrap items-center gap-2">
          <Button id={`${id}-approve`} look="primary" aria-label={`Approve: ${name}`} disabled={isSending} onClick={() => say(APPROVE)}>
            Approve
          </Button>
          <Button id={`${id}-decline`} aria-label={`Decline: ${name}`} disabled={isSending} onClick={() => setNoting(true)}>
            Decline…
          </Button>
          {calls.length === 1 ? <StopAsking /> : null}
        </div>
      )}
    </div>
  );
}

interface SaidProps {
  id: string;
  verdict: Verdict;
  name: string;
  isSending: boolean;
  onChange: () => void;
}

/** What was said about the call, until the server has it. */
function Said({ id, verdict: { decision, note }, name, isSending, onChange }: SaidProps) {
  const isApproved = decision === "approve";
  return (
    <div className="mt-3 flex min-h-9 flex-wrap items-center gap-x-2.5 gap-y-1 touch:min-h-11">
      <span className="flex items-center gap-1.5 font-medium">
        {isApproved ? <Check size={15} className="text-ok" aria-hidden /> : <X size={15} className="text-danger" aria-hidden />}
        {isApproved ? "Approved" : "Declined"}
      </span>
      {note === "" ? null : <span className="min-w-0 text-muted wrap-anywhere">“{note}”</span>}
      {isSending ? (
        <span className="flex items-center gap-2 text-muted">
          <Spinner /> Sending…
        </span>
      ) : (
        <Button id={id} look="quiet" aria-label={`Change: ${name}`} onClick={onChange}>
          Change
        </Button>
      )}
    </div>
  );
}

import { Hand } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button.tsx";
import { useNow } from "@/components/useNow.ts";
import { ahead, exactTime } from "@/lib/time.ts";
import { useClockOffset } from "../clockOffset.ts";
import { APPROVE, useApprovals } from "./approvals.ts";
import { DeclineForm } from "./DeclineForm.tsx";
import { StopAsking } from "./StopAsking.tsx";

const ALL = "all";

/** The end of a conversation that waits for its reader: until when, and where several calls wait, one word for all of them. */
export function ApprovalBar() {
  const { calls, mayDecide, undecided, isSending, problem, expiresAt, sendAgain } = useApprovals();
  const isMany = calls.length > 1;
  const said = calls.length - undecided;
  const title = mayDecide ? (isMany ? `${String(calls.length)} calls wait for you` : "Waiting for you") : "Waiting for the owner of this chat";
  return (
    <section aria-label="Approvals" className={isMany && mayDecide ? "rounded-md border border-warn-line bg-warn-soft px-3.5 py-3 text-sm" : "text-sm"}>
      <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
        <Hand size={15} className="shrink-0 text-warn" aria-hidden />
        <p role="status" className="flex flex-wrap gap-x-2.5">
          <span className={isMany ? "font-medium" : "text-muted"}>{isSending ? "Sending your decision" : title}</span>
          {isMany && said > 0 && !isSending ? <span className="text-muted">{said} of {calls.length} decided</span> : null}
        </p>
        {expiresAt === null || isSending ? null : <End at={expiresAt} />}
      </div>
      {problem === "" ? null : (
        <div role="alert" className="mt-2 flex flex-wrap items-center gap-x-3 gap-y-2 text-danger">
          <span className="min-w-0 wrap-anywhere">{problem}</span>
          {undecided === 0 ? <Button onClick={sendAgain}>Send again</Button> : null}
        </div>
      )}
      {isMany && mayDecide && undecided > 0 ? <ForAll /> : null}
    </section>
  );
}

/** One word for everything nothing was said about yet. */
function ForAll() {
  const { calls, undecided, isSending, decideRest, drafts } = useApprovals();
  const [isNoting, setNoting] = useState(() => drafts.has(ALL));
  const these = undecided === calls.length ? "all" : undecided === 1 ? "the last one" : `the other ${String(undecided)}`;
  if (isNoting) {
    return (
      <DeclineForm
        about={ALL}
        action={`Decline ${these}`}
        onDecline={(note) => {
          setNoting(false);
          decideRest({ decision: "decline", note });
        }}
        onCancel={() => setNoting(false)}
      />
    );
  }
  return (
    <div className="mt-3 flex flex-wrap items-center gap-2">
      <Button look="primary" disabled={isSending} onClick={() => decideRest(APPROVE)}>
        Approve {these}
      </Button>
      <Button disabled={isSending} onClick={() => setNoting(true)}>
        Decline {these}…
      </Button>
      <StopAsking />
    </div>
  );
}

const STEP_MS = 1_000;

function End({ at }: { at: string }) {
  const now = useNow(STEP_MS) + useClockOffset();
  const left = ahead(at, now);
  if (left === "") return null;
  return (
    <time dateTime={at} title={exactTime(at)} className="text-faint tabular-nums">
      the wait ends {left}
    </time>
  );
}

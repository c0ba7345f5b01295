import { Hand } from "lucide-react";
import { Button } from "@/components/Button.tsx";
import { useApprovals } from "./approvals.ts";

interface WaitNoteProps {
  /** Something is about to be sent. */
  hasText: boolean;
  isSending: boolean;
  onInterrupt: () => void;
}

/** What becomes of a message that is written while calls wait for the reader's word. */
export function WaitNote({ hasText, isSending, onInterrupt }: WaitNoteProps) {
  const { calls, mayDecide } = useApprovals();
  if (calls.length === 0 || !hasText) return null;
  return (
    <div className="mx-2 mb-1.5 flex flex-wrap items-center gap-x-2.5 rounded-md border border-warn-line bg-warn-soft py-1 pr-1 pl-3 text-sm">
      <Hand size={14} className="shrink-0 text-warn" aria-hidden />
      <span className="min-w-0 grow basis-52 py-1 text-muted">Queued until {calls.length === 1 ? "the call" : `the ${String(calls.length)} calls`} above {calls.length === 1 ? "is" : "are"} decided.</span>
      {mayDecide ? (
        <Button look="quiet" disabled={isSending} onClick={onInterrupt}>
          Decline and continue
        </Button>
      ) : null}
    </div>
  );
}

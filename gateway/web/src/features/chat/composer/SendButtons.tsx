import { ArrowUp, ChevronDown, ListPlus, Square, Zap } from "lucide-react";
import type { BusyBehavior } from "@/api/types.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { useApprovals } from "../approvals/approvals.ts";

interface SendButtonsProps {
  isBusy: boolean;
  stopping: boolean;
  sending: boolean;
  canSend: boolean;
  hasText: boolean;
  onSend: (behavior: BusyBehavior) => void;
  onStop: () => void;
}

const ACCENT = "bg-accent text-accent-ink hover:brightness-95 disabled:opacity-40 dark:hover:brightness-110";

/** Send; while the agent works: stop, and queue with a choice. */
export function SendButtons({ isBusy, stopping, sending, canSend, hasText, onSend, onStop }: SendButtonsProps) {
  const waits = useApprovals().calls.length > 0;
  return (
    <div className="flex items-center gap-1.5">
      {isBusy ? (
        <IconButton label={stopping ? "Stopping…" : "Stop (Esc)"} tipSide="top" disabled={stopping} onClick={onStop} className="border border-line bg-raised text-ink">
          {stopping ? <Spinner /> : <Square size={13} fill="currentColor" />}
        </IconButton>
      ) : null}
      {isBusy && hasText ? (
        <div className="flex h-8 overflow-hidden rounded-md touch:h-11">
          <button type="button" disabled={!canSend} onClick={() => onSend("queue")} className={`flex items-center gap-1.5 pr-2 pl-3 text-sm font-medium -outline-offset-2 ${ACCENT}`}>
            {sending ? <Spinner /> : null} Queue
          </button>
          <Menu
            side="top"
            entries={[
              { label: "Queue", hint: waits ? "Sent when you have decided and the agent is done" : "Sent when the agent is done", icon: <ListPlus />, onSelect: () => onSend("queue") },
              { label: waits ? "Decline and continue" : "Send now", hint: waits ? "Declines what waits and sends this now" : "Interrupts what it is doing", icon: <Zap />, onSelect: () => onSend("interrupt") },
            ]}
            trigger={
              <button type="button" aria-label="More ways to send" disabled={!canSend} className={`border-l border-accent-ink/25 px-1.5 -outline-offset-2 max-sm:px-3 ${ACCENT}`}>
                <ChevronDown size={14} />
              </button>
            }
          />
        </div>
      ) : null}
      {isBusy ? null : (
        <button
          type="button"
          aria-label="Send"
          disabled={!canSend}
          onClick={() => onSend("queue")}
          className={`grid size-8 place-items-center rounded-md transition-colors touch:size-11 ${ACCENT}`}
        >
          {sending ? <Spinner /> : <ArrowUp size={17} strokeWidth={2.3} />}
        </button>
      )}
    </div>
  );
}

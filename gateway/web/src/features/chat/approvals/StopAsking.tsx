import { type KeyboardEvent, useId, useState } from "react";
import { Button } from "@/components/Button.tsx";
import { focusById, whenDrawn } from "@/components/focus.ts";
import { useApprovals } from "./approvals.ts";

/** Has the chat ask no more. Says what that means before it is done. */
export function StopAsking() {
  const id = useId();
  const { undecided, isSending, askingIsRequired, stopAsking } = useApprovals();
  const [isOpen, setOpen] = useState(false);
  /** The button that was pressed is gone: the other one has the focus. */
  const turn = (open: boolean) => {
    setOpen(open);
    whenDrawn(() => focusById(id));
  };
  if (askingIsRequired !== "") {
    return (
      <p role="alert" className="basis-full text-xs text-muted">
        This chat goes on asking: {askingIsRequired}
      </p>
    );
  }
  if (!isOpen) {
    return (
      <Button id={id} look="quiet" className="max-sm:-ml-2 max-sm:px-2" disabled={isSending} onClick={() => turn(true)}>
        Do not ask again in this chat…
      </Button>
    );
  }
  /** Leaves this, and not the agent's turn. */
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    turn(false);
  };
  const also = undecided > 1 ? `all ${String(undecided)} undecided calls` : "this call";
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape leaves it, wherever in it the focus is
    <div role="group" onKeyDown={onKeyDown} aria-label="Do not ask again in this chat" className="mt-1 basis-full border-t border-warn-line pt-2.5">
      <p className="text-muted">
        This approves {also}, and from then on the agent runs everything in this chat without asking: commands, edits, tools of other servers. The walls of the workspace stay. You can have it ask again at any time, below
        the message field.
      </p>
      <div className="mt-2 flex flex-wrap gap-2">
        <Button id={id} busy={isSending} onClick={stopAsking}>
          Approve, and do not ask again
        </Button>
        <Button look="quiet" disabled={isSending} onClick={() => turn(false)}>
          Keep asking
        </Button>
      </div>
    </div>
  );
}

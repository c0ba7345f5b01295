import type { KeyboardEvent } from "react";
import { Button } from "@/components/Button.tsx";
import { GrowingText } from "@/components/GrowingText.tsx";
import type { QueueEdit } from "./useQueueEdit.ts";

const MAX_HEIGHT_PX = 160;

/** Other words for a message that waits. When its turn comes meanwhile, what was written is not lost. */
export function QueueEditor({ edit }: { edit: QueueEdit }) {
  const { editing, wasSent, saving, problem } = edit;
  if (editing === null) return null;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") edit.end();
    else if (event.key === "Enter" && !event.shiftKey) void edit.save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="my-1 rounded-md border border-line-strong/70 bg-raised p-2 focus-within:border-accent">
      {wasSent ? <p className="px-1.5 pb-1 text-xs text-warn">This message was sent while you were editing it.</p> : null}
      <GrowingText label="New text of the waiting message" value={editing.text} maxHeight={MAX_HEIGHT_PX} readOnly={saving} takesFocus onChange={edit.change} onKeyDown={onKeyDown} className="px-1.5 text-sm" />
      {problem ? (
        <p role="alert" className="px-1.5 pt-1 text-xs text-danger">
          Not saved: {problem}
        </p>
      ) : null}
      <div className="mt-1.5 flex justify-end gap-1.5">
        <Button look="quiet" className="h-8 touch:h-11" onClick={edit.end}>
          {wasSent ? "Discard" : "Cancel"}
        </Button>
        <Button look="primary" className="h-8 touch:h-11" busy={saving} disabled={editing.text.trim() === ""} onClick={() => void edit.save()}>
          {wasSent ? "Queue as a new message" : "Save"}
        </Button>
      </div>
    </div>
  );
}

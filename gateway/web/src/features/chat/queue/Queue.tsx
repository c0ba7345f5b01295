import { useState } from "react";
import type { QueuedMessage } from "@/api/types.ts";
import { focusById } from "@/components/focus.ts";
import { QueueEditor } from "./QueueEditor.tsx";
import { handleId, QueueRow } from "./QueueRow.tsx";
import { useDrag } from "./useDrag.ts";
import { useQueue } from "./useQueue.ts";
import { useQueueEdit } from "./useQueueEdit.ts";

/** The server takes no more than this. */
const MAX_QUEUED = 20;

interface QueueProps {
  chatId: string;
  queue: readonly QueuedMessage[];
  /** The last turn failed: nothing is sent by itself. */
  isHeld: boolean;
}

/** Messages that wait for the turn to end, in the order they will be sent. */
export function Queue({ chatId, queue, isHeld }: QueueProps) {
  const { items, isPromoting, move, remove, promote } = useQueue(chatId, queue);
  const edit = useQueueEdit(chatId, items);
  const [said, setSaid] = useState("");
  const { dragged, handlers, styleOf } = useDrag((from, to) => {
    const message = items[from];
    if (message) move(message.id, to);
  });
  const editedId = edit.editing?.message.id;
  const isOrphan = edit.editing !== null && !items.some((message) => message.id === editedId);
  if (items.length === 0 && edit.editing === null) return null;
  const moveByKey = (id: number, to: number) => {
    move(id, to);
    setSaid(`Moved to place ${String(to + 1)} of ${String(items.length)}`);
    // The row is moved in the page, and takes its focus along only if told to.
    requestAnimationFrame(() => focusById(handleId(id)));
  };
  return (
    <section aria-label="Waiting messages" className="mx-2 flex max-h-[min(264px,38dvh)] flex-col rounded-t-xl border border-b-0 border-line bg-sunken text-sm">
      <h2 className="flex justify-between gap-3 px-3.5 pt-2 pb-0.5 text-xs text-faint">
        <span>{isHeld ? "Held back because the turn failed" : "Sent when the agent is done"}</span>
        {items.length > 1 ? (
          <span className="tabular-nums">
            {items.length} waiting{items.length >= MAX_QUEUED ? ", which is as many as can" : ""}
          </span>
        ) : null}
      </h2>
      <div className="min-h-0 overflow-y-auto px-1.5 pb-1">
        {isOrphan ? <QueueEditor edit={edit} /> : null}
        <ol>
          {items.map((message, index) =>
            message.id === editedId ? (
              <li key={message.id}>
                <QueueEditor edit={edit} />
              </li>
            ) : (
              <QueueRow
                key={message.id}
                message={message}
                index={index}
                count={items.length}
                isDragged={dragged === index}
                isPromoting={isPromoting(message.id)}
                style={styleOf(index)}
                handlers={handlers(index)}
                onMove={(to) => moveByKey(message.id, to)}
                onEdit={() => edit.begin(message, index)}
                onPromote={() => promote(message.id)}
                onRemove={() => remove(message.id)}
              />
            ),
          )}
        </ol>
      </div>
      <p aria-live="polite" className="sr-only">
        {said}
      </p>
    </section>
  );
}

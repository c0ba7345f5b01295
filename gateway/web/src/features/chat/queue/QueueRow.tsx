import { GripVertical, Paperclip, Pencil, Trash2, Zap } from "lucide-react";
import type { CSSProperties, KeyboardEvent } from "react";
import type { QueuedMessage } from "@/api/types.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { classes } from "@/lib/classes.ts";
import { inputOf, wordsOf } from "../content.ts";
import type { DragHandlers } from "./useDrag.ts";

export const handleId = (id: number) => `queue-handle-${String(id)}`;

interface QueueRowProps {
  message: QueuedMessage;
  index: number;
  count: number;
  isDragged: boolean;
  isPromoting: boolean;
  style: CSSProperties | undefined;
  handlers: DragHandlers;
  onMove: (to: number) => void;
  onEdit: () => void;
  onPromote: () => void;
  onRemove: () => void;
}

export function QueueRow({ message, index, count, isDragged, isPromoting, style, handlers, onMove, onEdit, onPromote, onRemove }: QueueRowProps) {
  const words = wordsOf(message.content);
  const attached = inputOf(message.content).filter((part) => part.type !== "text").length;
  const onKeyDown = (event: KeyboardEvent) => {
    const to = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to >= 0 && to < count) onMove(to);
  };
  return (
    <li style={style} className={classes("group flex items-center gap-0.5 rounded-md pr-1", isDragged ? "bg-raised shadow-pop" : "hover:bg-hover")}>
      {count > 1 ? (
        <button
          type="button"
          id={handleId(message.id)}
          aria-label={`Place ${String(index + 1)} of ${String(count)}: ${words || "attachment"}`}
          title="Drag, or use the arrow keys, to change the order"
          className={classes("grid h-8 w-6 shrink-0 touch-none place-items-center rounded-md text-faint -outline-offset-2 touch:h-11 touch:w-8", isDragged ? "cursor-grabbing" : "cursor-grab!")}
          onKeyDown={onKeyDown}
          {...handlers}
        >
          <GripVertical size={14} />
        </button>
      ) : (
        <span className="w-2" />
      )}
      <span className="min-w-0 flex-1 truncate py-1.5" title={words}>
        {words}
        {attached > 0 ? (
          <span className={classes("inline-flex items-center gap-1 align-middle text-xs text-faint", words && "ml-2")}>
            <Paperclip size={12} aria-hidden /> {attached} {attached === 1 ? "attachment" : "attachments"}
          </span>
        ) : null}
      </span>
      {isPromoting ? (
        <span role="status" className="flex items-center gap-1.5 px-2 text-xs text-muted">
          <Spinner size={13} /> Sending
        </span>
      ) : (
        <>
          <IconButton size="sm" tipSide="left" label="Edit" onClick={onEdit}>
            <Pencil size={14} />
          </IconButton>
          <IconButton size="sm" tipSide="left" label="Send now: interrupts the agent" onClick={onPromote}>
            <Zap size={14} />
          </IconButton>
          <IconButton size="sm" tipSide="left" label="Remove from the queue" onClick={onRemove}>
            <Trash2 size={14} />
          </IconButton>
        </>
      )}
    </li>
  );
}

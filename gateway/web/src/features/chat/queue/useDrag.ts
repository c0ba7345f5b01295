import { type CSSProperties, type PointerEvent, useState } from "react";
import { dropPlace } from "./order.ts";

interface Drag {
  from: number;
  to: number;
  startY: number;
  offset: number;
  heights: readonly number[];
}

export interface DragHandlers {
  onPointerDown: (event: PointerEvent<HTMLElement>) => void;
  onPointerMove: (event: PointerEvent<HTMLElement>) => void;
  onPointerUp: () => void;
  onPointerCancel: () => void;
}

/** Dragging rows of a list by their handles, with any pointer. `onDrop` gets the old and the new place. */
export function useDrag(onDrop: (from: number, to: number) => void) {
  const [drag, setDrag] = useState<Drag | null>(null);

  const handlers = (index: number): DragHandlers => ({
    onPointerDown: (event) => {
      const list = event.currentTarget.closest("ol");
      if (event.button !== 0 || list === null) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      const heights = [...list.children].map((row) => row.getBoundingClientRect().height);
      setDrag({ from: index, to: index, startY: event.clientY, offset: 0, heights });
    },
    onPointerMove: (event) => {
      if (drag === null) return;
      const offset = event.clientY - drag.startY;
      setDrag({ ...drag, offset, to: dropPlace(drag.heights, drag.from, offset) });
    },
    onPointerUp: () => {
      if (drag !== null && drag.to !== drag.from) onDrop(drag.from, drag.to);
      setDrag(null);
    },
    onPointerCancel: () => setDrag(null),
  });

  /** The dragged row follows the pointer; the others make room. */
  const styleOf = (index: number): CSSProperties | undefined => {
    if (drag === null) return undefined;
    if (index === drag.from) return { transform: `translateY(${String(drag.offset)}px)`, zIndex: 1, position: "relative" };
    const room = drag.heights[drag.from] ?? 0;
    const shift = index > drag.from && index <= drag.to ? -room : index < drag.from && index >= drag.to ? room : 0;
    return { transform: `translateY(${String(shift)}px)`, transition: "transform 120ms ease-out" };
  };
  return { dragged: drag?.from ?? null, handlers, styleOf };
}

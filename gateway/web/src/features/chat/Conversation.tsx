import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown } from "lucide-react";
import { type MouseEvent, type ReactNode, useEffect, useEffectEvent, useMemo, useRef } from "react";
import { whenDrawn } from "@/components/focus.ts";
import { Spinner } from "@/components/Spinner.tsx";
import { classes } from "@/lib/classes.ts";
import type { Row } from "@/stream/timeline.ts";
import { OpenedContext } from "./opened.ts";
import { reveal } from "./reveal.ts";
import { RowView, spaceAbove } from "./RowView.tsx";
import { useFollowEnd } from "./useFollowEnd.ts";

/** Closer to the start than this loads the page before. */
const START_PX = 600;
const ESTIMATED_ROW_PX = 72;
const STATUS_KEY = "turn-status";

interface ConversationProps {
  rows: readonly Row[];
  /** Shown behind the last row. */
  status: ReactNode;
  hasOlder: boolean;
  loadingOlder: boolean;
  onOlder: () => void;
  /** The rows behind this one are about to be removed. */
  fadeBehind: string | null;
  /** Counts what the reader has sent from here: whoever speaks looks at the end. */
  sent: number;
}

/** The scrolling conversation. It stays at the end only while the reader is there. */
export function Conversation({ rows, status, hasOlder, loadingOlder, onOlder, fadeBehind, sent }: ConversationProps) {
  const box = useRef<HTMLDivElement>(null);
  const opened = useMemo(() => new Map<string, boolean>(), []);
  const content = useRef<HTMLDivElement>(null);
  const { isFollowing, onScroll: readIntent, follow, hold } = useFollowEnd(box, content);
  const virtualizer = useVirtualizer({
    count: rows.length + 1,
    getScrollElement: () => box.current,
    getItemKey: (index) => rows[index]?.key ?? STATUS_KEY,
    estimateSize: () => ESTIMATED_ROW_PX,
    overscan: 6,
    // Holds what is being read in its place when older messages come in above it.
    anchorTo: "end",
    // Whether the end is followed is decided here alone: never at the end, as far as the virtualizer knows.
    scrollEndThreshold: -1,
  });

  const fadeFrom = fadeBehind === null ? -1 : rows.findIndex((row) => row.key === fadeBehind);

  const goToEnd = useEffectEvent(() => {
    follow();
    virtualizer.scrollToEnd();
  });
  useEffect(() => goToEnd(), [sent]);

  /** What the reader opens grows downwards from where it is, not away from the pointer, and is then brought into view. */
  const onClickCapture = (event: MouseEvent) => {
    const opener = event.target instanceof Element ? event.target.closest("[aria-expanded=false], summary") : null;
    if (!opener) return;
    hold();
    whenDrawn(() => box.current && reveal(box.current, opener));
  };
  const onScroll = () => {
    const element = box.current;
    if (!element) return;
    readIntent();
    if (element.scrollTop < START_PX && hasOlder && !loadingOlder) onOlder();
  };

  return (
    <OpenedContext value={opened}>
      <div className="relative min-h-0 flex-1">
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard */}
        <div ref={box} onScroll={onScroll} onClickCapture={onClickCapture} tabIndex={0} role="log" aria-label="Conversation" aria-live="off" className="h-full overflow-y-auto -outline-offset-2 [overflow-anchor:none]">
          {loadingOlder ? (
            <div className="flex justify-center pt-3 text-faint">
              <Spinner />
            </div>
          ) : null}
          <div ref={content} className="relative w-full" style={{ height: virtualizer.getTotalSize() }}>
            {virtualizer.getVirtualItems().map((item) => {
              const row = rows[item.index];
              return (
                <div
                  key={item.key}
                  ref={virtualizer.measureElement}
                  data-index={item.index}
                  className={classes("absolute inset-x-0 top-0", fadeFrom >= 0 && item.index > fadeFrom && "opacity-40")}
                  style={{ transform: `translateY(${String(item.start)}px)` }}
                >
                  <div className="mx-auto max-w-[808px] px-6 max-sm:px-4" style={{ paddingTop: spaceAbove(row, rows[item.index - 1]) }}>
                    {row ? <RowView row={row} /> : <div className="pb-6">{status}</div>}
                  </div>
                </div>
              );
            })}
          </div>
        </div>
        {isFollowing ? null : (
          <button
            type="button"
            onClick={() => {
              follow();
              virtualizer.scrollToEnd();
            }}
            className="appear absolute bottom-3 left-1/2 flex h-9 -translate-x-1/2 touch:h-11 items-center gap-1.5 rounded-full border border-line bg-raised px-3.5 text-sm text-muted shadow-pop hover:text-ink"
          >
            <ArrowDown size={14} aria-hidden /> To the end
          </button>
        )}
      </div>
    </OpenedContext>
  );
}

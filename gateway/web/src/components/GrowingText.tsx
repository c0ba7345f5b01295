import { type KeyboardEvent, useLayoutEffect, useRef } from "react";
import { classes } from "@/lib/classes.ts";

interface GrowingTextProps {
  label: string;
  value: string;
  /** In pixels; beyond it the text scrolls. */
  maxHeight: number;
  readOnly?: boolean;
  /** Takes the focus, behind the last character. */
  takesFocus?: boolean;
  onChange: (value: string) => void;
  onKeyDown: (event: KeyboardEvent<HTMLTextAreaElement>) => void;
  className?: string;
}

/** A text field that is as high as its text. */
export function GrowingText({ label, value, maxHeight, readOnly = false, takesFocus = false, onChange, onKeyDown, className }: GrowingTextProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${String(Math.min(element.scrollHeight, maxHeight))}px`;
  }, [value, maxHeight]);
  useLayoutEffect(() => {
    if (!takesFocus || !area.current) return;
    area.current.focus({ preventScroll: true });
    area.current.setSelectionRange(area.current.value.length, area.current.value.length);
  }, [takesFocus]);
  return (
    <textarea
      ref={area}
      rows={1}
      aria-label={label}
      value={value}
      readOnly={readOnly}
      onChange={(event) => onChange(event.target.value)}
      onKeyDown={onKeyDown}
      className={classes("block w-full resize-none bg-transparent outline-none touch:min-h-11", className)}
    />
  );
}

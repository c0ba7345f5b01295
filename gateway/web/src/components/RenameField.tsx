import { type KeyboardEvent, useRef, useState } from "react";
import type { Chat } from "@/api/types.ts";
import { useChatActions } from "@/data/chatActions.ts";
import { classes } from "@/lib/classes.ts";

const MAX_TITLE_CHARS = 200;

interface RenameFieldProps {
  chat: Chat;
  /** `byKey`: the focus is nowhere now. */
  onDone: (byKey: boolean) => void;
  className?: string;
}

/** A chat's title as a field. Enter and leaving it save; Escape does not. */
export function RenameField({ chat, onDone, className }: RenameFieldProps) {
  const { rename } = useChatActions();
  const [title, setTitle] = useState(chat.title);
  const isOver = useRef(false);
  const end = (saves: boolean, byKey: boolean) => {
    // Taking the field away makes it lose its focus once more.
    if (isOver.current) return;
    isOver.current = true;
    const wanted = title.trim();
    if (saves && wanted !== "" && wanted !== chat.title) void rename(chat, wanted);
    onDone(byKey);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === "Enter", true);
  };
  return (
    <input
      // oxlint-disable-next-line jsx-a11y/no-autofocus -- the reader has just asked to type here
      autoFocus
      aria-label="Title"
      maxLength={MAX_TITLE_CHARS}
      value={title}
      onChange={(event) => setTitle(event.target.value)}
      onFocus={(event) => event.target.select()}
      onBlur={() => end(true, false)}
      onKeyDown={onKeyDown}
      className={classes("h-8 touch:h-11 min-w-0 flex-1 rounded-md border border-line-strong bg-canvas px-2 text-sm", className)}
    />
  );
}

import { Sparkles } from "lucide-react";
import { type FocusEvent, type KeyboardEvent, useRef, useState } from "react";
import { proposeTitle } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { useChatActions } from "@/data/chatActions.ts";
import { classes } from "@/lib/classes.ts";
import { IconButton } from "./IconButton.tsx";
import { Spinner } from "./Spinner.tsx";
import { toast } from "./toasts.ts";

const MAX_TITLE_CHARS = 200;

interface RenameFieldProps {
  chat: Chat;
  /** `byKey`: the focus is nowhere now. */
  onDone: (byKey: boolean) => void;
  className?: string;
}

/** A chat's title as a field, into which a model may put a suggestion. Enter and leaving it save; Escape does not. */
export function RenameField({ chat, onDone, className }: RenameFieldProps) {
  const { rename } = useChatActions();
  const [title, setTitle] = useState(chat.title);
  const [asking, setAsking] = useState(false);
  const field = useRef<HTMLInputElement>(null);
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
    const isEnd = event.key === "Escape" || (event.key === "Enter" && event.target === field.current);
    if (event.nativeEvent.isComposing || !isEnd) return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === "Enter", true);
  };
  const onBlur = (event: FocusEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget)) end(true, false);
  };
  const suggest = async () => {
    setAsking(true);
    field.current?.focus();
    const before = field.current?.value;
    try {
      const { title: suggestion } = await proposeTitle(chat.id);
      // Whoever has typed on meanwhile, or is done, has decided.
      if (isOver.current || field.current?.value !== before) return;
      if (suggestion === "") toast("There is nothing yet to make a title of");
      else setTitle(suggestion);
    } catch (error) {
      toast(describe(error), { tone: "danger" });
    } finally {
      setAsking(false);
    }
  };
  return (
    // oxlint-disable-next-line jsx-a11y/no-static-element-interactions -- hears what bubbles up from the field and its button
    <div className="relative flex min-w-0 flex-1" onBlur={onBlur} onKeyDown={onKeyDown}>
      <input
        ref={field}
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the reader has just asked to type here
        autoFocus
        aria-label="Title"
        maxLength={MAX_TITLE_CHARS}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        onFocus={(event) => event.target.select()}
        className={classes("h-8 w-full touch:h-11 min-w-0 rounded-md border border-line-strong bg-canvas pr-9 pl-2 text-sm touch:pr-12", className)}
      />
      {/* Safari gives buttons no focus when they are pressed: the field must not lose its own. */}
      <IconButton
        size="sm"
        tipSide="left"
        label="Suggest a title"
        className="absolute! top-0.5 right-0.5 touch:top-0"
        aria-busy={asking}
        aria-disabled={asking}
        onPointerDown={(event) => event.preventDefault()}
        onClick={() => (asking ? undefined : void suggest())}
      >
        {asking ? <Spinner size={14} /> : <Sparkles size={14} />}
      </IconButton>
    </div>
  );
}

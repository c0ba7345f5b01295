import { type KeyboardEvent, useState } from "react";
import { Button } from "@/components/Button.tsx";
import { GrowingText } from "@/components/GrowingText.tsx";
import { noteProblem } from "@/lib/approvals.ts";
import { useApprovals } from "./approvals.ts";

const MAX_HEIGHT_PX = 160;
/** Keys are read around it. */
const nothing = () => undefined;

interface DeclineFormProps {
  /** What the note is about: it is kept under this name while it is written. */
  about: string;
  /** On the button. */
  action: string;
  onDecline: (note: string) => void;
  onCancel: () => void;
}

/** Declining, with a word to the model if the reader has one. */
export function DeclineForm({ about, action, onDecline, onCancel }: DeclineFormProps) {
  const { drafts } = useApprovals();
  const [note, setNote] = useState(drafts.get(about) ?? "");
  const problem = noteProblem(note);
  // On a touch screen focus would raise the keyboard over what is to be read.
  const [isTyped] = useState(() => window.matchMedia("(pointer: fine)").matches);
  const change = (text: string) => {
    setNote(text);
    drafts.set(about, text);
  };
  const cancel = () => {
    drafts.delete(about);
    onCancel();
  };
  const decline = () => {
    if (problem !== "") return;
    drafts.delete(about);
    onDecline(note.trim());
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const isInText = event.target instanceof HTMLTextAreaElement;
    // It leaves the note, and not the agent's turn.
    if (event.key === "Escape") cancel();
    else if (isInText && event.key === "Enter" && !event.shiftKey && (isTyped || event.ctrlKey || event.metaKey)) decline();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape leaves it, wherever in it the focus is
    <div role="group" aria-label={action} onKeyDown={onKeyDown} className="mt-3">
      <p className="text-xs text-muted">
        What shall it do instead? The model reads this. It may stay empty.
      </p>
      <GrowingText
        label="Note to the model"
        value={note}
        maxHeight={MAX_HEIGHT_PX}
        takesFocus={isTyped}
        onChange={change}
        onKeyDown={nothing}
        className="mt-1 rounded-md border border-line-strong bg-canvas! px-3 py-1.5 text-ink"
      />
      {problem === "" ? null : (
        <p role="alert" className="mt-1 text-xs text-danger">
          {problem}
        </p>
      )}
      <div className="mt-2 flex flex-wrap gap-2">
        <Button look="danger" className="bg-raised" disabled={problem !== ""} onClick={decline}>
          {action}
        </Button>
        <Button look="quiet" onClick={cancel}>
          Cancel
        </Button>
      </div>
    </div>
  );
}

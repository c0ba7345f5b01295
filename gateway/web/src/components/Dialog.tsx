import { type ReactNode, useLayoutEffect, useRef } from "react";
import { classes } from "@/lib/classes.ts";
import { giveFocusBack } from "./focus.ts";

interface DialogProps {
  label: string;
  onClose: () => void;
  children: ReactNode;
  className?: string;
}

/** A modal on the browser's own dialog element: it traps the focus, closes on Escape and gives the focus back. */
export function Dialog({ label, onClose, children, className }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  // Closed while it is still on the page: one that is taken away open leaves the focus nowhere.
  useLayoutEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    return () => {
      dialog?.close();
      giveFocusBack(before);
    };
  }, []);
  return (
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions -- a click on the backdrop; Escape does the same by key
    <dialog
      ref={ref}
      aria-label={label}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
      className={classes(
        "appear m-auto outline-none max-h-[85dvh] w-[min(480px,calc(100vw-32px))] rounded-xl border border-line bg-raised p-0 text-ink shadow-pop",
        className,
      )}
    >
      {children}
    </dialog>
  );
}

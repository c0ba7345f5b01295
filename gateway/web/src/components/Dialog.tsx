import { type ReactNode, useEffect, useRef } from "react";
import { classes } from "@/lib/classes.ts";

interface DialogProps {
  label: string;
  onClose: () => void;
  children: ReactNode;
  className?: string;
}

/** A modal on the browser's own dialog element: it traps the focus, closes on Escape and gives the focus back. */
export function Dialog({ label, onClose, children, className }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
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

import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";

interface ConfirmProps {
  /** A question, such as `Remove Handbook?`. */
  title: string;
  /** What goes with it and what stays. */
  text: string;
  /** On the button that does it, such as `Remove it`. */
  action: string;
  busy: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks once more before something is gone that nobody can bring back. */
export function Confirm({ title, text, action, busy, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog label={title} onClose={onClose}>
      <div className="p-5">
        <h2 className="mb-4 font-semibold">{title}</h2>
        <p className="mb-4 text-sm text-muted">{text}</p>
        <div className="flex flex-wrap gap-2">
          <Button look="danger" busy={busy} onClick={onConfirm}>
            {action}
          </Button>
          <Button look="quiet" onClick={onClose}>
            Keep it
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

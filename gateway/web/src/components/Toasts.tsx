import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { classes } from "@/lib/classes.ts";
import { currentToasts, dismiss, onToasts } from "./toasts.ts";

export function Toasts() {
  const toasts = useSyncExternalStore(onToasts, currentToasts);
  return (
    <div aria-live="polite" className="pointer-events-none fixed inset-x-0 top-15 z-50 flex flex-col items-center gap-2 px-4">
      {toasts.map((toast) => (
        <div
          key={toast.id}
          className="appear pointer-events-auto flex max-w-md items-center gap-3 rounded-[10px] border border-line bg-raised py-2 pr-2 pl-4 text-sm shadow-pop"
        >
          <span className={classes("min-w-0", toast.tone === "danger" && "text-danger")}>{toast.text}</span>
          {toast.action ? (
            <button
              type="button"
              className="rounded-md px-2 py-1 font-medium text-accent hover:bg-hover touch:min-h-11"
              onClick={() => {
                toast.action?.run();
                dismiss(toast.id);
              }}
            >
              {toast.action.label}
            </button>
          ) : null}
          <button type="button" aria-label="Dismiss" className="grid size-7 shrink-0 place-items-center rounded-md text-muted hover:bg-hover touch:size-11" onClick={() => dismiss(toast.id)}>
            <X size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}

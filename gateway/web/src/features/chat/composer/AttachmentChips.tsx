import { Paperclip, RotateCw, TriangleAlert, X } from "lucide-react";
import { Spinner } from "@/components/Spinner.tsx";
import { classes } from "@/lib/classes.ts";
import type { Attachment, Attachments } from "./useAttachments.ts";

const BUTTON = "grid size-7 shrink-0 place-items-center rounded-md text-muted hover:bg-hover hover:text-ink touch:size-11";

export function AttachmentChips({ attachments }: { attachments: Attachments }) {
  if (attachments.items.length === 0) return null;
  return (
    <ul className="flex flex-wrap gap-2 px-3 pt-3" aria-label="Attachments">
      {attachments.items.map((item) => (
        <li key={item.id} className={classes("flex max-w-72 items-center gap-2 rounded-md border py-1 pr-1 pl-1.5 text-sm", item.state === "failed" ? "border-danger-line" : "border-line")}>
          <Mark item={item} />
          <span className="min-w-0">
            <span className="block truncate">{item.name}</span>
            {item.problem ? <span className="block text-xs text-danger">{item.problem}</span> : null}
            {item.note && !item.problem ? <span className="block text-xs text-faint">{item.note}</span> : null}
          </span>
          {item.state === "failed" && item.file ? (
            <button type="button" aria-label={`Upload ${item.name} again`} className={BUTTON} onClick={() => attachments.retry(item.id)}>
              <RotateCw size={13} />
            </button>
          ) : null}
          <button type="button" aria-label={`Remove ${item.name}`} className={BUTTON} onClick={() => attachments.remove(item.id)}>
            <X size={14} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Mark({ item }: { item: Attachment }) {
  if (item.state === "failed") return <TriangleAlert size={15} className="mx-1 shrink-0 text-danger" aria-hidden />;
  const busy = item.state !== "ready";
  if (item.preview) {
    return (
      <span className="relative grid size-8 shrink-0 place-items-center overflow-hidden rounded">
        <img src={item.preview} alt="" className={classes("size-8 object-cover", busy && "opacity-40")} />
        {busy ? <span className="absolute"><Spinner size={15} /></span> : null}
      </span>
    );
  }
  return <span className="mx-1 shrink-0 text-muted">{busy ? <Spinner size={15} /> : <Paperclip size={15} aria-hidden />}</span>;
}

import { Paperclip, TriangleAlert, X } from "lucide-react";
import { Spinner } from "@/components/Spinner.tsx";
import { classes } from "@/lib/classes.ts";
import type { Attachment, Attachments } from "./useAttachments.ts";

export function AttachmentChips({ attachments }: { attachments: Attachments }) {
  if (attachments.items.length === 0) return null;
  return (
    <ul className="flex flex-wrap gap-2 px-3 pt-3" aria-label="Attachments">
      {attachments.items.map((item) => (
        <li key={item.id} className={classes("flex max-w-72 items-center gap-2 rounded-md border py-1 pr-1 pl-2 text-sm", item.state === "failed" ? "border-danger-line" : "border-line")}>
          <Mark item={item} />
          <span className="min-w-0">
            <span className="block truncate">{item.name}</span>
            {item.problem ? <span className="block text-xs text-danger">{item.problem}</span> : null}
          </span>
          <button type="button" aria-label={`Remove ${item.name}`} className="grid size-7 shrink-0 place-items-center rounded-md text-muted hover:bg-hover" onClick={() => attachments.remove(item.id)}>
            <X size={14} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Mark({ item }: { item: Attachment }) {
  if (item.state === "uploading") return <Spinner size={14} />;
  if (item.state === "failed") return <TriangleAlert size={14} className="shrink-0 text-danger" aria-hidden />;
  if (item.preview) return <img src={item.preview} alt="" className="size-6 shrink-0 rounded object-cover" />;
  return <Paperclip size={14} className="shrink-0 text-muted" aria-hidden />;
}

import { Paperclip } from "lucide-react";
import { fileUrl } from "@/api/chats.ts";
import type { FilePart } from "@/api/types.ts";

/** Attached files: images as pictures from our own origin, everything else as a chip to open. */
export function FileList({ files }: { files: readonly FilePart[] }) {
  if (files.length === 0) return null;
  return (
    <div className="flex flex-wrap gap-2">
      {files.map((file, index) => {
        const name = file.name || "file";
        const key = file.file_id ?? `${name}-${String(index)}`;
        if (file.file_id === undefined) return <Chip key={key} name={name} />;
        const href = fileUrl(file.file_id);
        return (
          <a key={key} href={href} target="_blank" rel="noopener noreferrer" className="rounded-md">
            {file.media_type.startsWith("image/") ? (
              <img src={href} alt={name} loading="lazy" className="h-32 max-w-full rounded-md border border-line object-cover" />
            ) : (
              <Chip name={name} />
            )}
          </a>
        );
      })}
    </div>
  );
}

function Chip({ name }: { name: string }) {
  return (
    <span className="inline-flex max-w-64 items-center gap-2 rounded-md border border-line bg-raised px-2.5 py-1.5 text-sm hover:bg-hover">
      <Paperclip size={14} className="shrink-0 text-muted" aria-hidden />
      <span className="truncate">{name}</span>
    </span>
  );
}

import { Pencil } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { CopyButton } from "@/components/CopyButton.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { exactTime } from "@/lib/time.ts";
import type { UserRow } from "@/stream/timeline.ts";
import { useEditing } from "./edit/editing.ts";
import { FileList } from "./FileList.tsx";

const EditMessage = lazy(() => import("./edit/EditMessage.tsx"));

const LONG_CHARS = 2_400;

export function UserMessage({ row }: { row: UserRow }) {
  const { messageId, begin } = useEditing();
  if (messageId === row.messageId) {
    return (
      <Suspense fallback={<div className="h-32" />}>
        <EditMessage row={row} />
      </Suspense>
    );
  }
  return (
    <div data-walk="message" className="group flex flex-col items-end gap-1.5">
      <FileList files={row.files} />
      {row.references.map((reference) => (
        <p key={`${reference.file_name}:${String(reference.start_line)}`} className="rounded-md border border-line px-2.5 py-1 font-mono text-xs text-muted">
          {reference.file_name}:{reference.start_line}–{reference.end_line}
        </p>
      ))}
      {row.text ? <Words row={row} /> : null}
      <div className="-mt-1 flex h-7 items-center opacity-0 transition-opacity touch:h-11 group-focus-within:opacity-100 group-hover:opacity-100 pointer-coarse:opacity-100">
        <time dateTime={row.createdAt} className="mr-1 text-xs text-faint pointer-coarse:hidden">
          {exactTime(row.createdAt)}
        </time>
        <CopyButton text={row.text} label="Copy message" />
        {begin ? (
          <IconButton size="sm" label="Edit message" onClick={() => begin(row.messageId)}>
            <Pencil size={14} />
          </IconButton>
        ) : null}
      </div>
    </div>
  );
}

function Words({ row }: { row: UserRow }) {
  const [all, setAll] = useState(false);
  const isLong = row.text.length > LONG_CHARS;
  return (
    <div className="max-w-[85%] rounded-xl bg-bubble px-4 py-2.5 wrap-anywhere whitespace-pre-wrap">
      {isLong && !all ? `${row.text.slice(0, LONG_CHARS)}…` : row.text}
      {isLong ? (
        <button type="button" className="mt-1 block text-sm text-accent touch:min-h-11" onClick={() => setAll(!all)}>
          {all ? "Show less" : "Show all"}
        </button>
      ) : null}
    </div>
  );
}

import { useState } from "react";
import { exactTime } from "@/lib/time.ts";
import type { UserRow } from "@/stream/timeline.ts";
import { CopyButton } from "@/components/CopyButton.tsx";
import { FileList } from "./FileList.tsx";

const LONG_CHARS = 2_400;

export function UserMessage({ row }: { row: UserRow }) {
  const [all, setAll] = useState(false);
  const isLong = row.text.length > LONG_CHARS;
  return (
    <div className="group flex flex-col items-end gap-1.5">
      <FileList files={row.files} />
      {row.references.map((reference) => (
        <p key={`${reference.file_name}:${String(reference.start_line)}`} className="rounded-md border border-line px-2.5 py-1 font-mono text-xs text-muted">
          {reference.file_name}:{reference.start_line}–{reference.end_line}
        </p>
      ))}
      {row.text ? (
        <div title={exactTime(row.createdAt)} className="relative max-w-[85%] rounded-xl bg-bubble px-4 py-2.5 wrap-anywhere whitespace-pre-wrap">
          <span className="absolute top-1.5 right-full mr-1 opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100">
            <CopyButton text={row.text} label="Copy message" />
          </span>
          {isLong && !all ? `${row.text.slice(0, LONG_CHARS)}…` : row.text}
          {isLong ? (
            <button type="button" className="mt-1 block text-sm text-accent" onClick={() => setAll(!all)}>
              {all ? "Show less" : "Show all"}
            </button>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}

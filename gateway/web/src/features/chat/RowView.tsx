import { lazy, memo, Suspense } from "react";
import { Markdown } from "@/components/Markdown.tsx";
import { loadLater } from "@/lib/loadLater.ts";
import type { Row } from "@/stream/timeline.ts";
import { COMPACTION_TOOL } from "./compacted.ts";
import { FileList } from "./FileList.tsx";
import { Note } from "./Note.tsx";
import { Reasoning } from "./Reasoning.tsx";
import { StandInNote } from "./StandInNote.tsx";
import { Sources } from "./Sources.tsx";
import { ToolCard } from "./tools/ToolCard.tsx";
import { UserMessage } from "./UserMessage.tsx";

const Compaction = lazy(loadLater(() => import("./Compaction.tsx").then((module) => ({ default: module.Compaction }))));

export const RowView = memo(function RowView({ row }: { row: Row }) {
  switch (row.kind) {
    case "user":
      return <UserMessage row={row} />;
    case "text":
      return <Markdown text={row.text} isLive={row.isLive} />;
    case "reasoning":
      return <Reasoning row={row} />;
    case "tool":
      return row.name === COMPACTION_TOOL ? <Suspense fallback={<div className="h-9" />}><Compaction row={row} /></Suspense> : <ToolCard row={row} />;
    case "files":
      return <FileList files={row.files} />;
    case "sources":
      return <Sources row={row} />;
    case "note":
      return <Note row={row} />;
    case "stand-in":
      return <StandInNote row={row} />;
  }
});

/**
 * Space above a row, in pixels; `undefined` is the status behind the last one. Tool cards of one step stand close together, a new
 * question stands apart, and below a question its actions take some of the space.
 */
export function spaceAbove(row: Row | undefined, before: Row | undefined): number {
  if (before === undefined) return 24;
  if (row?.kind === "user") return before.kind === "user" ? 8 : 32;
  if (before.kind === "user") return 2;
  if (row?.kind === "tool" && before.kind === "tool") return 6;
  return row === undefined ? 18 : 14;
}

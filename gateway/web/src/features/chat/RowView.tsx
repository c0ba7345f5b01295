import { memo } from "react";
import { Markdown } from "@/components/Markdown.tsx";
import type { Row } from "@/stream/timeline.ts";
import { FileList } from "./FileList.tsx";
import { Note } from "./Note.tsx";
import { Reasoning } from "./Reasoning.tsx";
import { Sources } from "./Sources.tsx";
import { ToolCard } from "./tools/ToolCard.tsx";
import { UserMessage } from "./UserMessage.tsx";

export const RowView = memo(function RowView({ row }: { row: Row }) {
  switch (row.kind) {
    case "user":
      return <UserMessage row={row} />;
    case "text":
      return <Markdown text={row.text} isLive={row.isLive} />;
    case "reasoning":
      return <Reasoning row={row} />;
    case "tool":
      return <ToolCard row={row} />;
    case "files":
      return <FileList files={row.files} />;
    case "sources":
      return <Sources row={row} />;
    case "note":
      return <Note row={row} />;
  }
});

/** Space above a row, in pixels: tool cards of one step stand close together, a new question stands apart. */
export function spaceAbove(row: Row, before: Row | undefined): number {
  if (before === undefined) return 24;
  if (row.kind === "user") return 32;
  if (before.kind === "user") return 20;
  if (row.kind === "tool" && before.kind === "tool") return 6;
  return 14;
}

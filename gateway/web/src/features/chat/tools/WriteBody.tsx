import { open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { GenericBody } from "./GenericBody.tsx";
import { NumberedLines } from "./NumberedLines.tsx";

/** What was written, with line numbers. */
export function WriteBody({ row }: { row: ToolRow }) {
  const content = str(open(row.args)["content"]);
  if (content === "") return <GenericBody row={row} />;
  const lines = content
    .replace(/\n$/, "")
    .split("\n")
    .map((text, index) => ({ number: String(index + 1), text }));
  const path = str(open(row.args)["path"]);
  return <NumberedLines lines={lines} label={`Content of ${path}`} path={path} />;
}

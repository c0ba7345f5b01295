import { open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { GenericBody } from "./GenericBody.tsx";
import { NumberedLines } from "./NumberedLines.tsx";

const NUMBERED = /^\s*(\d+)\t(.*)$/;

/** The lines that were read, with their numbers. */
export function ReadBody({ row }: { row: ToolRow }) {
  const content = str(open(row.result)["content"]);
  if (content === "") return <GenericBody row={row} />;
  const lines = content.split("\n").map((line) => {
    const match = NUMBERED.exec(line);
    return match ? { number: match[1] ?? "", text: match[2] ?? "" } : { number: "", text: line };
  });
  const path = str(open(row.args)["path"]);
  return <NumberedLines lines={lines} label={`Content of ${path}`} path={path} />;
}

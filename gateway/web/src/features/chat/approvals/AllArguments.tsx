import { CopyButton } from "@/components/CopyButton.tsx";
import { hasUnseen, spelt } from "@/lib/approvals.ts";
import { pretty } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";

/** A command's card shows these whole. */
const SHOWN = new Set(["command", "workdir"]);

function isShownWhole({ name, args }: ToolRow): boolean {
  return name === "execute" && typeof args === "object" && args !== null && Object.keys(args).every((key) => SHOWN.has(key));
}

/** Everything a call would be given, to the last character, where its card may show less. */
export function AllArguments({ row }: { row: ToolRow }) {
  const text = row.args === undefined ? row.argsText : pretty(row.args);
  const isOdd = hasUnseen(typeof row.args === "string" ? row.args : allText(row.args));
  if (isShownWhole(row) && !isOdd) return null;
  return (
    <details open={isOdd} className="group border-t border-line bg-sunken text-xs">
      <summary className="flex min-h-8 w-fit cursor-pointer items-center rounded-md px-3.5 -outline-offset-2 text-muted hover:text-ink touch:min-h-11">All arguments, in full</summary>
      {isOdd ? <p className="px-3.5 pb-2 text-warn">They contain characters that are not seen, or that change the order of what is. Here they are spelt out.</p> : null}
      <div className="flex items-start">
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard */}
        <pre tabIndex={0} className="max-h-96 min-w-0 flex-1 overflow-auto px-3.5 pb-2.5 font-mono text-[12.5px] leading-[19px] wrap-anywhere whitespace-pre-wrap -outline-offset-2">
          {spelt(text)}
        </pre>
        <CopyButton text={text} label="Copy all arguments" />
      </div>
    </details>
  );
}

/** Every text in a value, names included. */
function allText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return "";
  return Object.entries(value)
    .map(([key, inner]) => `${key}\n${allText(inner)}`)
    .join("\n");
}

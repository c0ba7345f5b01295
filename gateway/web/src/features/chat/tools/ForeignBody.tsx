import { CopyButton } from "@/components/CopyButton.tsx";
import { open, pretty, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { foreignCall, valueIn } from "./foreign.ts";
import { Tree } from "./Tree.tsx";

/** What a server was sent and what it answered, each as a tree where it is one. */
export function ForeignBody({ row }: { row: ToolRow }) {
  const args = foreignCall(row)?.args ?? row.argsText;
  const isAnswered = row.result !== undefined;
  const answer = row.isMedia ? str(open(row.result)["text"]) : valueIn(isAnswered ? row.result : row.output);
  const note = row.isMedia ? ` with media of type ${str(open(row.result)["mime_type"]) || "unknown"}` : "";
  if (isEmpty(args) && isEmpty(answer) && note === "") return <p className="px-3.5 py-2.5 text-xs text-faint">Nothing to show yet.</p>;
  return (
    <div className="divide-y divide-line bg-sunken">
      {isEmpty(args) ? null : <Part name="Arguments" value={args} />}
      {isEmpty(answer) && note === "" ? null : <Part name={isAnswered ? "Result" : "Output so far"} value={answer} note={note} />}
    </div>
  );
}

const isEmpty = (value: unknown): boolean => value === "" || value === undefined || (typeof value === "object" && value !== null && Object.keys(value).length === 0);

function Part({ name, value, note = "" }: { name: string; value: unknown; note?: string }) {
  return (
    <section aria-label={name}>
      <div className="flex h-8 items-center justify-between pr-1 pl-3.5 text-xs text-faint">
        {name + note}
        {isEmpty(value) ? null : <CopyButton text={pretty(value)} label={`Copy ${name.toLowerCase()}`} />}
      </div>
      {isEmpty(value) ? null : (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
        <div tabIndex={0} className="max-h-72 overflow-auto px-3.5 pb-2.5 font-mono text-[12.5px] leading-[19px]">
          <Tree value={value} />
        </div>
      )}
    </section>
  );
}

import { CopyButton } from "@/components/CopyButton.tsx";
import { pretty } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";

/** Arguments and result as they are: for every tool without a card of its own. */
export function GenericBody({ row }: { row: ToolRow }) {
  const sections = [
    { name: "Arguments", text: row.args === undefined ? row.argsText : pretty(row.args) },
    { name: row.result === undefined ? "Output so far" : "Result", text: row.result === undefined ? row.output : resultText(row) },
  ].filter((section) => section.text !== "" && section.text !== "{}");
  if (sections.length === 0) return <p className="px-3.5 py-2.5 text-xs text-faint">Nothing to show yet.</p>;
  return (
    <div className="divide-y divide-line bg-sunken">
      {sections.map(({ name, text }) => (
        <div key={name}>
          <div className="flex h-8 items-center justify-between pr-1 pl-3.5 text-xs text-faint">
            {name}
            <CopyButton text={text} label={`Copy ${name.toLowerCase()}`} />
          </div>
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard */}
          <pre tabIndex={0} className="max-h-72 overflow-auto px-3.5 pb-2.5 font-mono text-[12.5px] leading-[19px] wrap-anywhere whitespace-pre-wrap">
            {text}
          </pre>
        </div>
      ))}
    </div>
  );
}

function resultText(row: ToolRow): string {
  return row.isMedia ? "(an image or other media)" : pretty(row.result);
}

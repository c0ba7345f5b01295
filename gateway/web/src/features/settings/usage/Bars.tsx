import type { ReactNode } from "react";
import type { Spent } from "@/api/usage.ts";
import { count, money } from "@/lib/money.ts";

export interface Bar extends Spent {
  key: string;
  name: ReactNode;
  /** Below the name. */
  text?: string;
  message_count: number;
}

/** A link in the name of a row: all of its cell can be hit. */
export const ROW_LINK = "rounded-md underline-offset-2 after:absolute after:inset-0 hover:underline";

interface BarsProps {
  caption: string;
  /** What the rows are, such as "Model". */
  what: string;
  bars: readonly Bar[];
}

/** Who or what cost how much: a table, whose longest bar is the most expensive row. */
export function Bars({ caption, what, bars }: BarsProps) {
  const highest = Math.max(1, ...bars.map((bar) => bar.total_cost_micros));
  return (
    <div className="overflow-hidden rounded-xl border border-line bg-raised">
      <table className="w-full table-fixed border-collapse text-left text-sm tabular-nums">
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr className="text-xs text-faint [&>th]:px-4 [&>th]:pt-2.5 [&>th]:pb-1 [&>th]:font-normal">
            <th scope="col">{what}</th>
            <th scope="col" className="w-28 text-right max-sm:hidden">
              Model calls
            </th>
            <th scope="col" className="w-36 text-right max-sm:hidden">
              Tokens in / out
            </th>
            <th scope="col" className="w-28 text-right">
              Cost
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {bars.map((bar) => (
            <tr key={bar.key} className="align-top [&>*]:px-4 [&>*]:py-2.5">
              <th scope="row" className="relative font-normal">
                <span className="block truncate font-medium">{bar.name}</span>
                {bar.text ? <span className="block truncate text-xs text-faint">{bar.text}</span> : null}
                <svg aria-hidden width="100%" height="4" className="mt-1.5 block">
                  <rect width="100%" height="4" rx="2" className="fill-selected" />
                  <rect width={`${String((100 * bar.total_cost_micros) / highest)}%`} height="4" rx="2" className="fill-accent" />
                </svg>
              </th>
              <td className="text-right text-muted max-sm:hidden">{bar.message_count.toLocaleString("en-US")}</td>
              <td className="text-right text-muted max-sm:hidden">
                {count(bar.total_input_tokens + bar.total_cache_read_tokens + bar.total_cache_creation_tokens)} / {count(bar.total_output_tokens)}
              </td>
              <td className="text-right font-medium">{money(bar.total_cost_micros)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

import { useId } from "react";
import { money } from "@/lib/money.ts";

interface ColumnsProps {
  title: string;
  columns: readonly { label: string; micros: number }[];
}

const HEIGHT = 132;
const TOP = 18;
/** Every other label is left out on narrow pages from this many columns on. */
const CROWDED = 8;

/** What each span of days cost, as columns. Who does not see the drawing hears the same as a table. */
export function Columns({ title, columns }: ColumnsProps) {
  const id = useId();
  const highest = Math.max(...columns.map(({ micros }) => micros));
  const step = 100 / columns.length;
  return (
    <figure>
      <svg role="img" aria-labelledby={id} width="100%" height={HEIGHT + 24} className="block overflow-visible text-xs">
        <title id={id}>{title}</title>
        <line x1="0" x2="100%" y1={HEIGHT + 0.5} y2={HEIGHT + 0.5} className="stroke-line" />
        {columns.map(({ label, micros }, index) => {
          const height = highest === 0 ? 0 : Math.max(micros === 0 ? 0 : 2, (micros / highest) * (HEIGHT - TOP));
          const middle = `${String((index + 0.5) * step)}%`;
          const isLeftOut = columns.length >= CROWDED && (columns.length - 1 - index) % 2 === 1;
          return (
            <g key={label}>
              <rect x={`${String((index + 0.16) * step)}%`} width={`${String(step * 0.68)}%`} y={HEIGHT - height} height={height} rx={Math.min(3, height / 2)} className="fill-accent" />
              {micros > 0 && micros === highest ? (
                <text x={middle} y={HEIGHT - height - 6} textAnchor="middle" className="fill-ink font-medium">
                  {money(micros)}
                </text>
              ) : null}
              <text x={middle} y={HEIGHT + 17} textAnchor="middle" className={isLeftOut ? "fill-faint max-sm:hidden" : "fill-faint"}>
                {label.split(" – ")[0]}
              </text>
            </g>
          );
        })}
      </svg>
      <table className="sr-only">
        <caption>{title}</caption>
        <tbody>
          {columns.map(({ label, micros }) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td>{money(micros)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

import type { ReactNode } from "react";

/** Deeper, and from this many entries on, nothing is open by itself. */
const OPEN_DEPTH = 2;
const OPEN_ENTRIES = 20;
/** More entries of one value are not drawn: the copy button has them. */
const MAX_ENTRIES = 200;
const MAX_TEXT = 4_000;

/** Any JSON as something that is opened and closed. */
export function Tree({ value, depth = 0 }: { value: unknown; depth?: number }): ReactNode {
  if (typeof value !== "object" || value === null) return <Leaf value={value} />;
  const entries = Object.entries(value);
  if (entries.length === 0) return <span className="text-faint">{Array.isArray(value) ? "empty list" : "nothing"}</span>;
  return (
    <ul className="min-w-0">
      {entries.slice(0, MAX_ENTRIES).map(([name, inner]) => (
        <li key={name} className="min-w-0">
          <Entry name={name} value={inner} depth={depth} isOpen={depth < OPEN_DEPTH && entries.length <= OPEN_ENTRIES} />
        </li>
      ))}
      {entries.length > MAX_ENTRIES ? <li className="text-faint">… and {(entries.length - MAX_ENTRIES).toLocaleString("en-US")} more</li> : null}
    </ul>
  );
}

function Entry({ name, value, depth, isOpen }: { name: string; value: unknown; depth: number; isOpen: boolean }) {
  if (typeof value !== "object" || value === null || Object.keys(value).length === 0) {
    return (
      <span className="flex gap-2">
        <span className="shrink-0 text-faint">{name}</span>
        <span className="min-w-0 flex-1">
          <Tree value={value} depth={depth} />
        </span>
      </span>
    );
  }
  const count = Object.keys(value).length;
  return (
    <details open={isOpen}>
      <summary className="w-fit cursor-pointer rounded-md text-faint touch:min-h-11 touch:leading-[44px]">
        {name} <span className="text-xs">{Array.isArray(value) ? `[${String(count)}]` : `{${String(count)}}`}</span>
      </summary>
      <div className="ml-1 border-l border-line pl-3">
        <Tree value={value} depth={depth + 1} />
      </div>
    </details>
  );
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === "string") return <span className="wrap-anywhere whitespace-pre-wrap">{value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value || <span className="text-faint">empty</span>}</span>;
  return <span className="text-accent">{String(value)}</span>;
}

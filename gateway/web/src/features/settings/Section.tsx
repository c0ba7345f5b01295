import type { ReactNode } from "react";
import { describe } from "@/api/problem.ts";
import { Notice } from "@/components/Notice.tsx";

interface SectionProps {
  title: string;
  text?: string;
  action?: ReactNode;
  children: ReactNode;
}

export function Section({ title, text, action, children }: SectionProps) {
  return (
    <section aria-label={title} className="mb-10">
      <div className="mb-3 flex flex-wrap items-end justify-between gap-3">
        <div className="min-w-0 flex-1 basis-48">
          <h2 className="font-semibold">{title}</h2>
          {text ? <p className="text-sm text-muted">{text}</p> : null}
        </div>
        {action}
      </div>
      {children}
    </section>
  );
}

export const LIST = "divide-y divide-line rounded-xl border border-line bg-raised";

/** Holds the place of a list's first row, so that nothing moves when it comes. */
export function Loading() {
  return (
    <li role="status" aria-label="Loading" className="flex h-14 flex-col justify-center gap-2 px-4 touch:h-16">
      <span className="block h-3.5 w-36 rounded bg-hover" />
      <span className="block h-3 w-56 rounded bg-hover" />
    </li>
  );
}

interface ListSectionProps<Item> extends Omit<SectionProps, "children"> {
  /** Absent while it is on its way. */
  items: readonly Item[] | undefined;
  error: unknown;
  /** Stands in place of rows where there are none. */
  empty: string;
  children: (item: Item) => ReactNode;
}

/** A list under its heading, also while it comes, when it does not, and when nothing is in it. */
export function ListSection<Item>({ items, error, empty, children, ...head }: ListSectionProps<Item>) {
  return (
    <Section {...head}>
      {error ? (
        <div className="mb-3">
          <Notice tone="danger" title={describe(error)} />
        </div>
      ) : null}
      <ul aria-label={head.title} className={LIST}>
        {items?.map(children)}
        {items === undefined && !error ? <Loading /> : null}
        {items?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">{empty}</li> : null}
      </ul>
    </Section>
  );
}

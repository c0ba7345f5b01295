import type { ReactNode } from "react";

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

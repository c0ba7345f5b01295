import { safeHref } from "@/lib/links.ts";
import type { SourcesRow } from "@/stream/timeline.ts";

export function Sources({ row }: { row: SourcesRow }) {
  return (
    <div className="flex flex-wrap items-center gap-2 text-xs text-faint">
      <span>Sources</span>
      {row.sources.map((source) => {
        const href = safeHref(source.url);
        const name = source.title || source.url;
        if (href === null) return <span key={source.url}>{name}</span>;
        return (
          <a
            key={source.url}
            href={href}
            target="_blank"
            rel="noopener noreferrer nofollow"
            className="max-w-60 truncate rounded-full border border-line px-2.5 py-1 text-muted hover:bg-hover hover:text-ink"
          >
            {name}
          </a>
        );
      })}
    </div>
  );
}

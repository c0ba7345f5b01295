import { ListFilter, Search, X } from "lucide-react";
import { focusById, SEARCH_ID } from "@/components/focus.ts";
import { Menu } from "@/components/Menu.tsx";
import { FILTERS, toggleTerm } from "@/lib/chatQuery.ts";

interface SearchBoxProps {
  text: string;
  onChange: (text: string) => void;
}

const BUTTON = "grid h-6 w-6 place-items-center rounded-md text-muted hover:bg-hover hover:text-ink touch:h-11 touch:w-11";

/** The field that searches the list: words, and filters from a menu that teaches how they are written. */
export function SearchBox({ text, onChange }: SearchBoxProps) {
  const pick = (term: string) => {
    onChange(term.endsWith(":") ? `${text.trimEnd()} ${term}`.trimStart() : toggleTerm(text, term));
    // The menu gives the focus back to its button first.
    setTimeout(() => focusById(SEARCH_ID));
  };
  return (
    <div className="relative mx-3 mb-2">
      <Search size={14} className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-faint" aria-hidden />
      <input
        id={SEARCH_ID}
        type="text"
        role="searchbox"
        aria-label="Search chats"
        placeholder="Search"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          if (text === "") event.currentTarget.blur();
          else onChange("");
        }}
        className="h-8 w-full rounded-md border border-line bg-canvas pr-16 pl-8 text-sm touch:h-11 touch:pr-24"
      />
      <div className="absolute top-1/2 right-1 flex touch:right-0 -translate-y-1/2">
        {text ? (
          <button type="button" aria-label="Clear search" className={BUTTON} onClick={() => onChange("")}>
            <X size={13} />
          </button>
        ) : null}
        <Menu
          label="Filters, to be typed or picked"
          entries={FILTERS.map(({ example, term, finds }) => ({ label: finds, hint: example, onSelect: () => pick(term) }))}
          trigger={
            <button type="button" aria-label="Filters" title="Filters" className={BUTTON}>
              <ListFilter size={14} />
            </button>
          }
        />
      </div>
    </div>
  );
}

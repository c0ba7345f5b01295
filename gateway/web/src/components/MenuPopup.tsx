import { Check } from "lucide-react";
import { type KeyboardEvent, type RefObject, useEffect, useEffectEvent, useLayoutEffect, useRef } from "react";
import { classes } from "@/lib/classes.ts";
import type { MenuEntry } from "./Menu.tsx";
import { placeBeside } from "./place.ts";

interface MenuPopupProps {
  id: string;
  anchor: RefObject<HTMLElement | null>;
  entries: readonly (MenuEntry | "separator")[];
  side: "top" | "bottom";
  align: "start" | "end";
  label: string | undefined;
  onClose: (giveFocusBack: boolean) => void;
}

/** The open menu, on the browser's own popover: it lies above everything and closes on a click elsewhere and on Escape. */
export function MenuPopup({ id, anchor, entries, side, align, label, onClose }: MenuPopupProps) {
  const box = useRef<HTMLDivElement>(null);
  const dismissed = useEffectEvent(onClose);

  useLayoutEffect(() => {
    const popup = box.current;
    if (!popup || !anchor.current) return undefined;
    popup.showPopover?.();
    placeBeside(popup, anchor.current, side, align);
    const items = itemsOf(popup);
    (items.find((item) => item.getAttribute("aria-checked") === "true") ?? items[0])?.focus();
    return () => popup.hidePopover?.();
  }, [anchor, side, align]);

  useEffect(() => {
    const popup = box.current;
    const onToggle = (event: Event) => {
      if ((event as ToggleEvent).newState === "closed") dismissed(popup?.contains(document.activeElement) ?? false);
    };
    const onResize = () => dismissed(false);
    popup?.addEventListener("toggle", onToggle);
    window.addEventListener("resize", onResize);
    return () => {
      popup?.removeEventListener("toggle", onToggle);
      window.removeEventListener("resize", onResize);
    };
  }, []);

  const onKeyDown = (event: KeyboardEvent) => {
    const items = itemsOf(event.currentTarget);
    const at = items.indexOf(document.activeElement as HTMLElement);
    const next = nextIndex(event.key, at, items);
    if (event.key === "Tab" || event.key === "Escape") {
      event.stopPropagation();
      onClose(true);
    } else if (next !== null) items[next]?.focus();
    else return;
    event.preventDefault();
  };

  return (
    <div
      id={id}
      ref={box}
      popover="auto"
      role="menu"
      tabIndex={-1}
      aria-label={label}
      onKeyDown={onKeyDown}
      className="appear fixed m-0 max-h-[min(420px,70dvh)] max-w-[min(340px,calc(100vw-16px))] min-w-44 overflow-y-auto rounded-[10px] border border-line bg-raised p-1 text-sm text-ink shadow-pop"
    >
      {label ? <p className="px-2.5 py-1.5 text-xs text-faint">{label}</p> : null}
      {entries.map((entry, index) =>
        entry === "separator" ? (
          // oxlint-disable-next-line react/no-array-index-key -- separators are told apart only by their place
          <hr key={`separator-${String(index)}`} className="my-1 h-px border-0 bg-line" />
        ) : (
          <Item key={entry.id ?? entry.label + (entry.hint ?? "")} entry={entry} onClose={onClose} />
        ),
      )}
    </div>
  );
}

function Item({ entry, onClose }: { entry: MenuEntry; onClose: MenuPopupProps["onClose"] }) {
  const isChoice = entry.checked !== undefined;
  return (
    <button
      type="button"
      role={entry.isOneOfSeveral ? "menuitemcheckbox" : isChoice ? "menuitemradio" : "menuitem"}
      aria-checked={isChoice ? entry.checked : undefined}
      tabIndex={-1}
      disabled={entry.disabled}
      onPointerMove={(event) => event.currentTarget.focus({ preventScroll: true })}
      onClick={() => {
        if (!entry.isOneOfSeveral) onClose(true);
        entry.onSelect();
      }}
      className={classes(
        "flex min-h-8 w-full items-center gap-2.5 rounded-md px-2.5 py-1.5 text-left outline-none select-none focus:bg-hover disabled:opacity-50 touch:min-h-11",
        entry.danger && "text-danger",
      )}
    >
      {entry.icon ? <span className="shrink-0 text-muted [&>svg]:size-4">{entry.icon}</span> : null}
      <span className="min-w-0 flex-1">
        <span className="block truncate">{entry.label}</span>
        {entry.hint ? <span className={classes("block text-xs text-faint", !entry.isHintWhole && "truncate")}>{entry.hint}</span> : null}
      </span>
      {entry.isOneOfSeveral ? (
        <span aria-hidden className={classes("grid size-4 shrink-0 place-items-center rounded border", entry.checked ? "border-accent bg-accent text-accent-ink" : "border-line-strong")}>
          {entry.checked ? <Check size={12} strokeWidth={3} /> : null}
        </span>
      ) : entry.checked ? (
        <Check size={15} className="shrink-0 text-accent" aria-hidden />
      ) : null}
    </button>
  );
}

function itemsOf(box: Element): HTMLElement[] {
  return [...box.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)")];
}

/** Where a key leads; `null` when it leads nowhere. Letters go to the next entry that begins with them. */
function nextIndex(key: string, at: number, items: readonly HTMLElement[]): number | null {
  const count = items.length;
  if (count === 0) return null;
  if (key === "ArrowDown") return (at + 1) % count;
  if (key === "ArrowUp") return (at - 1 + count) % count;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (key.length !== 1 || key === " ") return null;
  for (let step = 1; step <= count; step += 1) {
    const index = (at + step) % count;
    if (items[index]?.textContent?.trim().toLowerCase().startsWith(key.toLowerCase())) return index;
  }
  return null;
}

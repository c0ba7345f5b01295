import { cloneElement, type HTMLAttributes, type ReactElement, type ReactNode, type Ref, useId, useRef, useState } from "react";
import { MenuPopup } from "./MenuPopup.tsx";

export interface MenuEntry {
  label: string;
  hint?: string;
  /** The hint is a sentence, and is never cut. */
  isHintWhole?: boolean;
  icon?: ReactNode;
  /** For choices: whether this one is chosen. */
  checked?: boolean;
  /** One of several that may be chosen together: the menu stays open. */
  isOneOfSeveral?: boolean;
  /** Tells entries apart that read the same. */
  id?: string;
  danger?: boolean;
  disabled?: boolean;
  onSelect: () => void;
}

export interface MenuProps {
  /** The button that opens it; it must pass on its props and ref. */
  trigger: ReactElement<HTMLAttributes<HTMLElement> & { ref?: Ref<HTMLButtonElement>; "data-state"?: string }>;
  entries: readonly (MenuEntry | "separator")[];
  side?: "top" | "bottom";
  align?: "start" | "end";
  label?: string;
}

/** A button with a menu, operated by pointer or by keyboard. */
export function Menu({ trigger, entries, side = "bottom", align = "end", label }: MenuProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const [isOpen, setOpen] = useState(false);
  /** Whether the menu was open when the pointer went down: light dismissal has closed it by the time of the click. */
  const wasOpen = useRef(false);

  const close = (giveFocusBack: boolean) => {
    setOpen(false);
    if (giveFocusBack) button.current?.focus();
  };
  return (
    <>
      {cloneElement(trigger, {
        ref: button,
        "aria-haspopup": "menu",
        "aria-expanded": isOpen,
        "aria-controls": isOpen ? id : undefined,
        "data-state": isOpen ? "open" : "closed",
        onPointerDown: () => {
          wasOpen.current = isOpen;
        },
        onClick: () => {
          setOpen(!wasOpen.current);
          wasOpen.current = false;
        },
        onKeyDown: (event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          setOpen(true);
        },
      })}
      {isOpen ? <MenuPopup id={id} anchor={button} entries={entries} side={side} align={align} label={label} onClose={close} /> : null}
    </>
  );
}

import { type KeyboardEvent, useState } from "react";
import { type Command, type CommandName, commandsFor } from "./commands.ts";

export interface CommandMenu {
  items: readonly Command[];
  /** The place of the command that Enter runs. */
  active: number;
  setActive: (index: number) => void;
  /** Returns true when the key belonged to the menu. */
  onKeyDown: (event: KeyboardEvent) => boolean;
}

/** The commands behind a slash, while one is typed. `pick` runs one. */
export function useCommands(text: string, isOffered: boolean, pick: (name: CommandName) => void): CommandMenu {
  const [chosen, setChosen] = useState(0);
  /** The text at which the reader closed the menu; any other text opens it again. */
  const [closedAt, setClosedAt] = useState<string | null>(null);
  const items = isOffered && closedAt !== text ? commandsFor(text) : [];
  const active = Math.min(chosen, Math.max(0, items.length - 1));
  const onKeyDown = (event: KeyboardEvent): boolean => {
    const current = items[active];
    if (current === undefined || event.shiftKey) return false;
    if (event.key === "ArrowDown") setChosen((active + 1) % items.length);
    else if (event.key === "ArrowUp") setChosen((active - 1 + items.length) % items.length);
    else if (event.key === "Escape") setClosedAt(text);
    else if (event.key === "Enter" || event.key === "Tab") pick(current.name);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  return { items, active, setActive: setChosen, onKeyDown };
}

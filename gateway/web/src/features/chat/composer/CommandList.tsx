import { classes } from "@/lib/classes.ts";
import type { CommandName } from "./commands.ts";
import type { CommandMenu } from "./useCommands.ts";

export const COMMAND_LIST_ID = "composer-commands";
export const optionId = (name: CommandName) => `composer-command-${name}`;

interface CommandListProps {
  menu: CommandMenu;
  /** Why none of them can run now. */
  problem: string | null;
  onPick: (name: CommandName) => void;
}

/** The commands that what was typed may become, over what is above the field in which it is typed. */
export function CommandList({ menu, problem, onPick }: CommandListProps) {
  if (menu.items.length === 0) return null;
  return (
    <div className="appear absolute inset-x-0 bottom-full z-10 mb-1.5 rounded-[10px] border border-line bg-raised p-1 text-sm shadow-pop">
      <div id={COMMAND_LIST_ID} role="listbox" aria-label="Commands" tabIndex={-1}>
        {menu.items.map((command, index) => (
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events -- the field keeps the focus and has the keys
          <div
            key={command.name}
            id={optionId(command.name)}
            role="option"
            tabIndex={-1}
            aria-selected={index === menu.active}
            aria-disabled={problem !== null}
            onPointerMove={() => menu.setActive(index)}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => onPick(command.name)}
            className={classes(
              "flex min-h-9 cursor-pointer items-baseline gap-3 rounded-md px-2.5 py-1.5 touch:min-h-11 max-sm:flex-col max-sm:gap-0.5",
              index === menu.active && "bg-hover",
              problem !== null && "opacity-60",
            )}
          >
            <span className="w-20 shrink-0 font-mono text-[13px] font-medium">/{command.name}</span>
            <span className="min-w-0 text-muted">{command.does}</span>
          </div>
        ))}
      </div>
      {problem ? <p className="px-2.5 pt-1 pb-1.5 text-xs text-warn">{problem}</p> : null}
    </div>
  );
}

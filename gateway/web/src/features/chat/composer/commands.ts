// What can be typed after a slash. Pure.

export type CommandName = "compact" | "clear";

export interface Command {
  name: CommandName;
  does: string;
}

export const COMMANDS: readonly Command[] = [
  { name: "compact", does: "Summarize the conversation to make room. You still see all of it." },
  { name: "clear", does: "Let the model forget everything above. You still see it." },
];

/** The commands that `text` may become; none when it is no command. */
export function commandsFor(text: string): readonly Command[] {
  const typed = /^\/(\S*)\s*$/.exec(text)?.[1];
  return typed === undefined ? [] : COMMANDS.filter((command) => command.name.startsWith(typed.toLowerCase()));
}

/** The command that `text` is, spelt out. */
export function commandNamed(text: string): Command | undefined {
  return COMMANDS.find((command) => `/${command.name}` === text.trim().toLowerCase());
}

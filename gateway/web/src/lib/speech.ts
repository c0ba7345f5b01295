// Who says a message. What the model is told of a workspace is stored as messages of users, too, and is nobody's speech. Pure.
import type { ChatMessage, MessagePart } from "@/api/types.ts";

const isTold = ({ type }: MessagePart): boolean => type === "context-file" || type === "skill";

/** Instructions and skills of the workspace, as they were found or added. It may come at any time, also within a turn. */
export const isContext = ({ role, content = [] }: ChatMessage): boolean => role === "user" && content.length > 0 && content.every(isTold);

/** A person has said it, or a program in a person's place. */
export const isAsked = (message: ChatMessage): boolean => message.role === "user" && !isContext(message);

/** Such as `Read AGENTS.md and 2 skills`; empty when nothing is left to say. */
export function contextText({ content = [] }: ChatMessage): string {
  const files = content.flatMap((part) => (part.type === "context-file" && part.context_file_path !== "" ? [part.context_file_path] : []));
  const skills = content.filter((part) => part.type === "skill").length;
  const named = files.length === 1 ? nameOf(files[0] ?? "") : files.length === 0 ? "" : `${String(files.length)} files with instructions`;
  const counted = skills === 0 ? "" : skills === 1 ? "1 skill" : `${String(skills)} skills`;
  const things = [named, counted].filter(Boolean).join(" and ");
  return things === "" ? "" : `Read ${things} from the workspace`;
}

const nameOf = (path: string): string => path.split("/").at(-1) ?? path;

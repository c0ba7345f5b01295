// What the model has been told besides the conversation itself. Pure.
import type { ChatMessage, ContextFilePart, SkillPart } from "@/api/types.ts";

export interface Told {
  files: readonly ContextFilePart[];
  skills: readonly SkillPart[];
}

/** The newest message that carries instructions holds all that are in force. */
export function toldOf(messages: readonly ChatMessage[]): Told {
  const parts = messages.findLast(({ content = [] }) => content.some(({ type }) => type === "context-file" || type === "skill"))?.content ?? [];
  return {
    files: parts.filter((part) => part.type === "context-file").filter((part) => part.context_file_path !== ""),
    skills: parts.filter((part) => part.type === "skill").filter((part) => part.skill_name !== ""),
  };
}

// Which answers came from another model than the one that was asked. Pure. Where the server does not name both, nobody stood in.
import type { ChatMessage } from "@/api/types.ts";
import { COMPACTION_TOOL } from "@/lib/toolNames.ts";
import { isAsked } from "@/lib/speech.ts";

export interface StandIn {
  /** Ids of model configurations. */
  asked: string;
  answered: string;
}

/** Goes along with the messages of a chat, oldest first, and tells of each one that stood in, once in a turn. */
export function standInFinder(): (message: ChatMessage) => StandIn | null {
  let asked = "";
  let told = new Set<string>();
  return (message) => {
    if (isAsked(message)) {
      asked = message.model_config_id ?? "";
      told = new Set();
      return null;
    }
    const answered = message.model_config_id ?? "";
    if (asked === "" || answered === "" || answered === asked || told.has(answered) || !isAnswer(message)) return null;
    told.add(answered);
    return { asked, answered };
  };
}

/** A summary may well be another model's work. */
function isAnswer({ role, content }: ChatMessage): boolean {
  return role === "assistant" && content?.some((part) => (part.type === "text" && part.text !== "") || (part.type === "tool-call" && part.tool_name !== COMPACTION_TOOL)) === true;
}

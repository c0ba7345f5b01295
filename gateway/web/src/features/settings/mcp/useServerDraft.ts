import { useState } from "react";
import type { McpServer } from "@/api/mcp.ts";
import { slugOf } from "@/lib/mcp.ts";
import { fieldsOf, missingIn, type Problems, problemsOf, type ServerFields } from "@/lib/mcpDraft.ts";

export interface ServerDraft {
  fields: ServerFields;
  set: (change: Partial<ServerFields>) => void;
  problems: Problems;
  /** Nothing is wrong and nothing is missing. */
  isSound: boolean;
  discard: () => void;
}

/** An MCP server's settings as they are typed. Without `server` it is a new one, whose short name follows its name until it is typed. */
export function useServerDraft(server: McpServer | undefined): ServerDraft {
  const [changed, setChanged] = useState<Partial<ServerFields>>({});
  const fields = { ...fieldsOf(server), ...changed };
  if (server === undefined && changed.slug === undefined) fields.slug = slugOf(fields.display_name);
  const problems = problemsOf(fields, server);
  return {
    fields,
    set: (change) => setChanged((before) => ({ ...before, ...change })),
    problems,
    isSound: Object.keys(problems).length === 0 && !missingIn(fields, server),
    discard: () => setChanged({}),
  };
}

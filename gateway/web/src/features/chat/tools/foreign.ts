// Calls of tools that are not Tandem's own: whose tool, which one, what for, and with what. Pure.
import { open, str } from "@/lib/open.ts";
import { toolTitle } from "@/lib/mcp.ts";
import type { ToolRow } from "@/stream/timeline.ts";

export interface ForeignCall {
  /** The short name of the server. */
  slug: string;
  /** The tool's name, for people. */
  title: string;
  /** What the model says the call is for; empty when it does not. */
  intent: string;
  /** What the server was sent; `undefined` while it is still arriving. */
  args: unknown;
}

const JOINT = "__";
const INTENT = "model_intent";
const EARLY_INTENT = /^\s*\{\s*"model_intent"\s*:\s*"((?:[^"\\]|\\.)*)"?/;

/** `null` for Tandem's own tools. */
export function foreignCall(row: Pick<ToolRow, "name" | "serverId" | "args" | "argsText">): ForeignCall | null {
  const cut = row.name.indexOf(JOINT);
  if (cut <= 0 && row.serverId === "") return null;
  const slug = cut <= 0 ? "" : row.name.slice(0, cut);
  const title = toolTitle(cut <= 0 ? row.name : row.name.slice(cut + JOINT.length));
  if (row.args === undefined) return { slug, title, intent: earlyIntent(row.argsText), args: undefined };
  return { slug, title, intent: str(open(row.args)[INTENT]).trim(), args: unwrapped(row.args) };
}

/** The server is sent what stands beside or inside of the model's sentence. */
function unwrapped(args: unknown): unknown {
  const { [INTENT]: intent, ...rest } = open(args);
  if (typeof intent !== "string") return args;
  const inner = rest["properties"];
  return typeof inner === "object" && inner !== null ? inner : rest;
}

/** The sentence comes first, so readers know it while the rest still arrives. */
function earlyIntent(text: string): string {
  const said = EARLY_INTENT.exec(text)?.[1];
  if (said === undefined) return "";
  try {
    return JSON.parse(`"${said}"`) as string;
  } catch {
    return said;
  }
}

/** JSON that a server has sent as text, as a value; anything else as it is. */
export function valueIn(result: unknown): unknown {
  if (typeof result !== "string" || !/^\s*[[{]/.test(result)) return result;
  try {
    return JSON.parse(result) as unknown;
  } catch {
    return result;
  }
}

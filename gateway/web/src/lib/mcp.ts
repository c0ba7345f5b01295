// MCP servers in words: when chats use them, how they learn who asks, how they do, and what their tools are called. Pure.
import type { McpAuthType, McpAvailability, McpHealth, McpServer } from "@/api/mcp.ts";
import type { Level } from "./providerHealth.ts";
import { ago } from "./time.ts";

interface Words {
  name: string;
  text: string;
}

export const AVAILABILITIES: Readonly<Record<McpAvailability, Words>> = {
  force_on: { name: "In every chat", text: "All chats use it, also those that are there already. Nobody can switch it off." },
  default_on: { name: "On, unless left out", text: "New chats begin with it. Whoever writes can switch it off for a chat." },
  default_off: { name: "Off, unless chosen", text: "A chat uses it once whoever writes switches it on." },
};

export const AUTH_TYPES: Readonly<Record<McpAuthType, Words>> = {
  none: { name: "None", text: "Nothing is sent along. For servers that ask nobody who they are." },
  api_key: { name: "API key", text: "One key in one header, the same for everybody." },
  custom_headers: { name: "Headers", text: "Any headers, the same for everybody." },
  oauth2: { name: "Account of each user (OAuth 2)", text: "Each user connects an account of their own, and the server answers with that user's rights." },
  user_oidc: { name: "Sign-in of each user", text: "This version has no sign-in that could be passed on: nothing is sent along." },
};

/** Those that can be chosen, and `stored` where it cannot any more. */
export function authTypesFor(stored: McpAuthType | undefined): readonly McpAuthType[] {
  const offered: readonly McpAuthType[] = ["none", "api_key", "custom_headers", "oauth2"];
  return stored === undefined || offered.includes(stored) ? offered : [...offered, stored];
}

const TRANSPORTS: Readonly<Record<string, string>> = { streamable_http: "Streamable HTTP", sse: "SSE (older servers)" };

export const transportName = (transport: string): string => TRANSPORTS[transport] ?? transport;

export const toolCount = (count: number): string => (count === 1 ? "1 tool" : `${String(count)} tools`);

export interface HealthWords {
  level: Level;
  word: string;
  /** Behind the word; may be empty. */
  text: string;
}

/** `null` before the first connection. */
export function healthWords(health: McpHealth | undefined, now: number): HealthWords | null {
  if (!health) return null;
  const when = ago(health.checked_at, now);
  const reason = health.error ? `: ${health.error}` : "";
  switch (health.outcome) {
    case "connected":
      return health.error
        ? { level: "degraded", word: "Works in part", text: `: ${toolCount(health.tool_count)}, and ${health.error} · ${when}` }
        : { level: "healthy", word: "Works", text: ` · ${toolCount(health.tool_count)} · answered in ${String(health.duration_ms)} ms · ${when}` };
    case "no_tools":
      return { level: "degraded", word: "Answers", text: `, but offers no tool that chats may use${reason} · ${when}` };
    case "timeout":
      return { level: "failing", word: "Does not answer", text: `${reason} · ${when}` };
    default:
      return { level: "failing", word: "Fails", text: `${reason} · ${when}` };
  }
}

/** The user has to connect an account before the server answers them. */
export const lacksAccount = (server: McpServer): boolean => server.auth_type === "oauth2" && !server.auth_connected;

/** Only pictures of our own are shown: another place would learn who looks. `null` for all others. */
export function iconOf(server: Pick<McpServer, "icon_url"> | undefined): string | null {
  const address = server?.icon_url ?? "";
  return /^\/(?![/\\])/.test(address) ? address : null;
}

/** `create_issue` and `createIssue` read "Create issue". */
export function toolTitle(name: string): string {
  const words = name.replaceAll(/([a-z\d])([A-Z])(?=[a-z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`).replaceAll(/[_\-.\s]+/g, " ").trim();
  return words === "" ? "Tool" : words.charAt(0).toUpperCase() + words.slice(1);
}

/** What a name can be made of in the names of tools. */
export function slugOf(name: string): string {
  const plain = name.normalize("NFKD").replaceAll(/[\u0300-\u036f]/g, "").toLowerCase();
  return plain.replaceAll(/[^a-z0-9]+/g, "-").slice(0, MAX_SLUG).replaceAll(/^-+|-+$/g, "");
}

export const MAX_SLUG = 40;

export const isSlug = (text: string): boolean => /^[a-z0-9]+(?:[_-][a-z0-9]+)*$/.test(text) && text.length <= MAX_SLUG;

// Which MCP servers a chat uses, and how that is changed. Pure. Those that every chat uses are nobody's choice and never named.
import type { McpServer } from "@/api/mcp.ts";
import { lacksAccount } from "./mcp.ts";

/** The server takes no more for one chat. */
export const MAX_CHOSEN = 32;

/** What a new chat begins with. */
export const defaultChoice = (servers: readonly McpServer[]): readonly string[] =>
  servers.flatMap(({ id, enabled, availability }) => (enabled && availability === "default_on" ? [id] : [])).slice(0, MAX_CHOSEN);

/** Those a chat uses that has chosen `chosen`. */
export const usedServers = (servers: readonly McpServer[], chosen: readonly string[]): readonly McpServer[] =>
  servers.filter(({ id, enabled, availability }) => enabled && (availability === "force_on" || chosen.includes(id)));

/** Those a chat would use if the user had connected an account. */
export const unconnected = (servers: readonly McpServer[], chosen: readonly string[]): readonly McpServer[] => usedServers(servers, chosen).filter(lacksAccount);

/** With one more or one less. What is chosen and not known here any more stays. */
export function toggled(chosen: readonly string[], id: string): readonly string[] {
  return chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id];
}

/** In a few words; empty when there is none. */
export function usedText(used: readonly McpServer[]): string {
  if (used.length === 0) return "";
  return used.length === 1 ? (used[0]?.display_name ?? "") : `${String(used.length)} servers`;
}

// Servers with tools for chats, and the accounts users connect to them, as React hooks.
import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { listMcpServers, listMcpTools, type McpServer, mcpConnectUrl } from "@/api/mcp.ts";
import { isNotServed } from "@/api/problem.ts";
import { toast } from "@/components/toasts.ts";
import { keys } from "./keys.ts";

const FRESH_MS = 30_000;
const NONE: readonly McpServer[] = [];
/** What the page that ends connecting an account says to the one that began it. */
const CONNECTED = "mcp-oauth2-complete";
const WINDOW = "popup,width=560,height=720";

/** `null` from a server that does not know such a thing: that is an answer, and not asked for again and again. */
async function listServed(): Promise<McpServer[] | null> {
  try {
    return await listMcpServers();
  } catch (error) {
    if (isNotServed(error)) return null;
    throw error;
  }
}

export const mcpServersQuery = queryOptions({ queryKey: keys.mcpServers, queryFn: listServed, staleTime: FRESH_MS });

export const useMcpServers = () => useQuery(mcpServersQuery);

/** Those that chats can use. */
export function useUsableServers(): readonly McpServer[] {
  return useMcpServers().data?.filter(({ enabled }) => enabled) ?? NONE;
}

/** Whose tool it was: by id, or else by how its name begins. */
export function useServerOf(serverId: string, slug: string): McpServer | undefined {
  const { data } = useMcpServers();
  return data?.find(({ id }) => id === serverId) ?? (slug === "" ? undefined : data?.find((server) => server.slug === slug));
}

/** What a server offers, asked when `enabled` and when told to, and forgotten with the place it was asked for. */
export const useMcpTools = (id: string, enabled: boolean) => useQuery({ queryKey: keys.mcpTools(id), queryFn: () => listMcpTools(id), enabled, retry: false, gcTime: 0, staleTime: Infinity, refetchOnWindowFocus: false });

/** Opens the window in which a user connects their account. */
export function connectAccount(server: McpServer): void {
  if (window.open(mcpConnectUrl(server.id), `mcp-${server.id}`, WINDOW) === null) toast("The browser has blocked the window. Allow windows of this page, and try again.", { tone: "danger" });
}

/** Notices when an account was connected in another window. */
export function useAccountNews(): void {
  const client = useQueryClient();
  useEffect(() => {
    const readAgain = () => void client.invalidateQueries({ queryKey: keys.mcpServers });
    const onMessage = ({ origin, data }: MessageEvent<unknown>) => {
      if (origin !== window.location.origin || !isConnected(data)) return;
      const server = client.getQueryData<McpServer[] | null>(keys.mcpServers)?.find(({ id }) => id === data.serverID);
      toast(server ? `Your account at ${server.display_name} is connected` : "Your account is connected");
      readAgain();
    };
    // Where the other page could not say so: when the user is back.
    const onFocus = () => {
      if (client.getQueryData<McpServer[] | null>(keys.mcpServers)?.some(({ auth_connected }) => !auth_connected)) readAgain();
    };
    window.addEventListener("message", onMessage);
    window.addEventListener("focus", onFocus);
    return () => {
      window.removeEventListener("message", onMessage);
      window.removeEventListener("focus", onFocus);
    };
  }, [client]);
}

function isConnected(data: unknown): data is { type: string; serverID: string } {
  return typeof data === "object" && data !== null && (data as { type?: unknown }).type === CONNECTED && typeof (data as { serverID?: unknown }).serverID === "string";
}

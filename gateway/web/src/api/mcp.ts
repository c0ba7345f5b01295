// Servers whose tools chats can use, spoken to in the Model Context Protocol.
import { API_BASE, call } from "./client.ts";

export type McpAuthType = "none" | "oauth2" | "api_key" | "custom_headers" | "user_oidc";
export type McpAvailability = "force_on" | "default_on" | "default_off";
export type McpOutcome = "connected" | "timeout" | "error" | "no_tools";

/** How a connection to a server went. */
export interface McpHealth {
  outcome: McpOutcome;
  duration_ms: number;
  /** Of those that chats may use. */
  tool_count: number;
  /** What went wrong, or which tools were left out. */
  error?: string;
  checked_at: string;
  /** Of all tools that chats may use. */
  estimated_tokens?: number;
  /** Tools that are not offered because they are no longer what was accepted. */
  changed_tool_count?: number;
}

/** Who is no administrator sees only what is enabled, without address, headers, settings of OAuth 2 and health. */
export interface McpServer {
  id: string;
  display_name: string;
  /** Begins the names of its tools: `<slug>__<tool>`. */
  slug: string;
  description: string;
  icon_url: string;
  transport: string;
  url: string;
  auth_type: McpAuthType;
  oauth2_client_id?: string;
  has_oauth2_secret: boolean;
  oauth2_auth_url?: string;
  oauth2_token_url?: string;
  oauth2_scopes?: string;
  api_key_header?: string;
  has_api_key: boolean;
  has_custom_headers: boolean;
  /** Not empty: decides alone. */
  tool_allow_list: string[];
  tool_deny_list: string[];
  availability: McpAvailability;
  enabled: boolean;
  /** Each call says what it is for. */
  model_intent: boolean;
  allow_in_plan_mode: boolean;
  forward_coder_headers: boolean;
  /** A tool that changes is offered again only once an administrator has accepted it. */
  pinned: boolean;
  /** The user has a usable token; true where none is asked for. */
  auth_connected: boolean;
  /** Why the user has to connect again. */
  reconnect_reason?: string;
  /** Absent before the first connection. */
  health?: McpHealth;
}

/** Secrets go in and never come out; an empty one is removed. */
interface McpSecrets {
  oauth2_client_secret?: string;
  api_key_value?: string;
  custom_headers?: Readonly<Record<string, string>>;
}

type Settings = Pick<
  McpServer,
  | "display_name"
  | "slug"
  | "description"
  | "icon_url"
  | "url"
  | "auth_type"
  | "tool_allow_list"
  | "tool_deny_list"
  | "availability"
  | "enabled"
  | "model_intent"
  | "allow_in_plan_mode"
  | "forward_coder_headers"
  | "pinned"
> & {
  transport: string;
  oauth2_client_id: string;
  oauth2_auth_url: string;
  oauth2_token_url: string;
  oauth2_scopes: string;
  api_key_header: string;
};

/** OAuth 2 without client id and addresses: the server is asked for them. */
export type NewMcpServer = Partial<Settings> & McpSecrets & Pick<Settings, "display_name" | "slug" | "url" | "auth_type" | "availability" | "transport">;
/** Another `auth_type` removes what belongs to the one before. */
export type McpServerPatch = Partial<Settings> & McpSecrets;

export interface McpTool {
  /** As the server names it. */
  name: string;
  /** As models are offered it. */
  offered_name: string;
  description: string;
  input_schema: unknown;
  estimated_tokens: number;
  /** Chats may use it. */
  allowed: boolean;
  /** Of its definition: accepting names it, so that nothing else is accepted. */
  digest: string;
  /** It is no longer what was accepted, and is not offered. */
  changed: boolean;
  /** What was accepted; only when it has changed. */
  accepted?: { description: string; input_schema: unknown };
}

export interface McpTools {
  health: McpHealth;
  /** Of all tools that chats may use. */
  estimated_tokens: number;
  tools: McpTool[];
}

/** The server behind it may be slow to answer. */
const CONNECT_DEADLINE_MS = 60_000;

const at = (id: string) => `/mcp/servers/${encodeURIComponent(id)}`;

export const listMcpServers = () => call<McpServer[]>("GET", "/mcp/servers");
export const createMcpServer = (server: NewMcpServer) => call<McpServer>("POST", "/mcp/servers", { body: server, deadlineMs: CONNECT_DEADLINE_MS });
export const patchMcpServer = (id: string, patch: McpServerPatch) => call<McpServer>("PATCH", at(id), { body: patch, deadlineMs: CONNECT_DEADLINE_MS });
export const deleteMcpServer = (id: string) => call<void>("DELETE", at(id));
/** Connects as the user, now. A server that does not answer is an answer. */
export const listMcpTools = (id: string) => call<McpTools>("GET", `${at(id)}/tools`, { deadlineMs: CONNECT_DEADLINE_MS });
/** Offers tools as they are now. Nothing is accepted if one of them has changed again. */
export const acceptMcpTools = (id: string, tools: readonly { name: string; digest: string }[]) =>
  call<McpTools>("POST", `${at(id)}/tools/approve`, { body: { tools }, deadlineMs: CONNECT_DEADLINE_MS });

/** A server that the `.mcp.json` of a workspace names. */
export interface WorkspaceServer {
  name: string;
  transport: string;
  /** Its command with arguments, or its address. */
  shown: string;
  digest: string;
  state: "awaiting_approval" | "connected" | "failed" | "invalid";
  error?: string;
  approved: boolean;
  /** Something else under this name was approved before. */
  approved_shown?: string;
  estimated_tokens: number;
}

export interface WorkspaceServers {
  /** The workspace does not run otherwise, and nobody knows what it names. */
  running: boolean;
  servers: WorkspaceServer[];
  tools: { server_name: string; name: string; description: string }[];
}

const workspaceAt = (workspaceId: string) => `/mcp/workspaces/${encodeURIComponent(workspaceId)}/servers`;

export const listWorkspaceServers = (workspaceId: string) => call<WorkspaceServers>("GET", workspaceAt(workspaceId));
/** Starts exactly this definition, now and whenever the workspace does. */
export const approveWorkspaceServer = (workspaceId: string, digest: string) => call<WorkspaceServers>("POST", `${workspaceAt(workspaceId)}/${digest}/approve`, { deadlineMs: CONNECT_DEADLINE_MS });
export const withdrawWorkspaceServer = (workspaceId: string, digest: string) => call<void>("DELETE", `${workspaceAt(workspaceId)}/${digest}`);

/** Forgets the user's token. */
export const disconnectMcpServer = (id: string) => call<void>("DELETE", `${at(id)}/oauth2/disconnect`);
/** A page that sends the browser to where the user's account lives. */
export const mcpConnectUrl = (id: string) => `${API_BASE}${at(id)}/oauth2/connect`;
/** Where the browser comes back to, below the address of the deployment. */
export const mcpCallbackPath = (id: string) => `/api/experimental/mcp/servers/${encodeURIComponent(id)}/oauth2/callback`;

// An MCP server's settings as they are typed, and what of them is sent. Pure. Secrets are empty until they are typed anew.
import type { McpAuthType, McpAvailability, McpServer, McpServerPatch, NewMcpServer } from "@/api/mcp.ts";
import { isWebAddress } from "./address.ts";
import { isSlug, MAX_SLUG } from "./mcp.ts";

export interface HeaderField {
  /** Tells rows apart while they are typed. */
  key: number;
  name: string;
  value: string;
}

/** `all`: whatever it offers. `only`: what is named. `except`: what is not. */
export type ToolRule = "all" | "only" | "except";

export interface ServerFields {
  display_name: string;
  slug: string;
  description: string;
  icon_url: string;
  url: string;
  auth_type: McpAuthType;
  api_key_header: string;
  api_key_value: string;
  /** `null`: those that are stored. */
  headers: readonly HeaderField[] | null;
  oauth2_client_id: string;
  oauth2_client_secret: string;
  removesClientSecret: boolean;
  oauth2_auth_url: string;
  oauth2_token_url: string;
  oauth2_scopes: string;
  rule: ToolRule;
  allowed: readonly string[];
  denied: readonly string[];
  availability: McpAvailability;
  enabled: boolean;
  model_intent: boolean;
  allow_in_plan_mode: boolean;
  forward_coder_headers: boolean;
  pinned: boolean;
  transport: string;
}

export const DEFAULT_KEY_HEADER = "Authorization";
const DEFAULT_TRANSPORT = "streamable_http";
const MAX_NAMES = 256;

/** Those of `server`, or what a new one begins with. */
export function fieldsOf(server: McpServer | undefined): ServerFields {
  const allowed = server?.tool_allow_list ?? [];
  const denied = server?.tool_deny_list ?? [];
  return {
    display_name: server?.display_name ?? "",
    slug: server?.slug ?? "",
    description: server?.description ?? "",
    icon_url: server?.icon_url ?? "",
    url: server?.url ?? "",
    auth_type: server?.auth_type ?? "none",
    api_key_header: server?.api_key_header ?? DEFAULT_KEY_HEADER,
    api_key_value: "",
    headers: server?.has_custom_headers === true ? null : [],
    oauth2_client_id: server?.oauth2_client_id ?? "",
    oauth2_client_secret: "",
    removesClientSecret: false,
    oauth2_auth_url: server?.oauth2_auth_url ?? "",
    oauth2_token_url: server?.oauth2_token_url ?? "",
    oauth2_scopes: server?.oauth2_scopes ?? "",
    rule: allowed.length > 0 ? "only" : denied.length > 0 ? "except" : "all",
    allowed,
    denied,
    availability: server?.availability ?? "default_off",
    enabled: server?.enabled ?? true,
    model_intent: server?.model_intent ?? true,
    allow_in_plan_mode: server?.allow_in_plan_mode ?? false,
    forward_coder_headers: server?.forward_coder_headers ?? false,
    pinned: server?.pinned ?? true,
    transport: server?.transport || DEFAULT_TRANSPORT,
  };
}

/** The lists as the server keeps them. */
const listsOf = ({ rule, allowed, denied }: ServerFields) => ({ tool_allow_list: rule === "only" ? [...allowed] : [], tool_deny_list: rule === "except" ? [...denied] : [] });

export const isAllowed = (fields: ServerFields, tool: string): boolean => (fields.rule === "only" ? fields.allowed.includes(tool) : fields.rule === "all" || !fields.denied.includes(tool));

/** What changes when one tool is to be offered to chats, or not any more. */
export function withTool(fields: ServerFields, tool: string, isOffered: boolean): Partial<ServerFields> {
  if (isAllowed(fields, tool) === isOffered) return {};
  if (fields.rule === "only") return { allowed: isOffered ? [...fields.allowed, tool] : fields.allowed.filter((name) => name !== tool) };
  const before = fields.rule === "all" ? [] : fields.denied;
  const denied = isOffered ? before.filter((name) => name !== tool) : [...before, tool];
  return { rule: denied.length === 0 ? "all" : "except", denied };
}

const headersOf = (headers: readonly HeaderField[]): Record<string, string> => Object.fromEntries(headers.flatMap(({ name, value }) => (name.trim() === "" ? [] : [[name.trim(), value]])));

/** What belongs to the chosen kind of authentication, without what is stored and stays. */
function authOf(fields: ServerFields): McpServerPatch {
  switch (fields.auth_type) {
    case "api_key":
      return { api_key_header: fields.api_key_header.trim(), ...(fields.api_key_value !== "" && { api_key_value: fields.api_key_value }) };
    case "custom_headers":
      return fields.headers === null ? {} : { custom_headers: headersOf(fields.headers) };
    case "oauth2":
      return {
        oauth2_client_id: fields.oauth2_client_id.trim(),
        oauth2_auth_url: fields.oauth2_auth_url.trim(),
        oauth2_token_url: fields.oauth2_token_url.trim(),
        oauth2_scopes: fields.oauth2_scopes.trim(),
        ...(fields.oauth2_client_secret !== "" ? { oauth2_client_secret: fields.oauth2_client_secret } : fields.removesClientSecret && { oauth2_client_secret: "" }),
      };
    default:
      return {};
  }
}

/** Everything, as a new server is sent. */
export function newServerOf(fields: ServerFields): NewMcpServer {
  const { auth_type, availability, enabled, model_intent, allow_in_plan_mode, forward_coder_headers } = fields;
  return {
    display_name: fields.display_name.trim(),
    slug: fields.slug.trim(),
    description: fields.description.trim(),
    icon_url: fields.icon_url.trim(),
    url: fields.url.trim(),
    transport: fields.transport,
    auth_type,
    ...authOf(fields),
    ...listsOf(fields),
    availability,
    enabled,
    model_intent,
    allow_in_plan_mode,
    forward_coder_headers,
    pinned: fields.pinned,
  };
}

const SECRETS = new Set(["api_key_value", "custom_headers", "oauth2_client_secret"]);

/** What is to be changed of `server`; empty when nothing is. Being enabled is changed at once and elsewhere. */
export function patchOf(fields: ServerFields, server: McpServer): McpServerPatch {
  const { enabled: _, ...wanted } = newServerOf(fields);
  const { enabled: __, ...stored } = newServerOf({ ...fieldsOf(server), headers: null });
  const isOther = server.auth_type !== fields.auth_type;
  const before: Readonly<Record<string, unknown>> = stored;
  const changed = Object.entries(wanted).filter(([name, value]) => SECRETS.has(name) || (isOther && !(name in before)) || JSON.stringify(value) !== JSON.stringify(before[name]));
  // Before the first header is typed, there is nothing to send.
  const sent = changed.filter(([name, value]) => name !== "custom_headers" || Object.keys(value as object).length > 0);
  return { ...(isOther && forgotten(server)), ...Object.fromEntries(sent) };
}

/** Takes back the secrets of the kind of authentication that is given up: they must not go to another address either. */
const forgotten = (server: McpServer): McpServerPatch => ({ ...(server.has_api_key && { api_key_value: "" }), ...(server.has_custom_headers && { custom_headers: {} }) });

export type Problems = Partial<Record<keyof ServerFields, string>>;

const isAddress = (text: string) => text.trim() === "" || isWebAddress(text.trim());

/** What is wrong with what was typed; what is only missing yet is in `missingIn`. */
export function problemsOf(fields: ServerFields, server: McpServer | undefined): Problems {
  const problems: Problems = {};
  const add = (field: keyof ServerFields, isWrong: boolean, text: string) => {
    if (isWrong && problems[field] === undefined) problems[field] = text;
  };
  add("slug", fields.slug !== "" && !isSlug(fields.slug.trim()), `Small letters and digits, joined by single hyphens or underscores, at most ${String(MAX_SLUG)}.`);
  add("url", !isAddress(fields.url), "An address begins with https:// or http://.");
  add("icon_url", fields.icon_url.trim() !== "" && !fields.icon_url.trim().startsWith("/") && !isWebAddress(fields.icon_url.trim()), "An address begins with https://, http:// or a slash.");
  const names = fields.rule === "only" ? fields.allowed : fields.denied;
  add("rule", fields.rule === "only" && names.length === 0, "Name at least one tool, or offer all of them.");
  add("rule", fields.rule !== "all" && names.length > MAX_NAMES, `At most ${String(MAX_NAMES)} names.`);
  if (fields.auth_type === "oauth2") {
    add("oauth2_auth_url", !isAddress(fields.oauth2_auth_url), "An address begins with https:// or http://.");
    add("oauth2_token_url", !isAddress(fields.oauth2_token_url), "An address begins with https:// or http://.");
    const given = [fields.oauth2_client_id, fields.oauth2_auth_url, fields.oauth2_token_url].filter((text) => text.trim() !== "").length;
    const isFoundOut = server === undefined && given === 0;
    add("oauth2_client_id", given !== 3 && !isFoundOut, server ? "The client id and both addresses have to be there." : "The client id and both addresses, or none of the three.");
    const keepsSecret = server?.has_oauth2_secret === true && fields.oauth2_client_secret === "" && !fields.removesClientSecret;
    add("oauth2_client_secret", keepsSecret && isMoved(fields.oauth2_token_url, server?.oauth2_token_url), "The token address is another place. Type the secret again.");
  }
  const isElsewhere = server !== undefined && server.auth_type === fields.auth_type && isMoved(fields.url, server.url);
  if (fields.auth_type === "api_key") add("api_key_value", isElsewhere && server.has_api_key && fields.api_key_value === "", "The address is another place. Type the key again.");
  if (fields.auth_type === "custom_headers") add("headers", isElsewhere && fields.headers === null, "The address is another place. Type the headers again.");
  return problems;
}

/** Nothing can be sent before these are there. */
export function missingIn(fields: ServerFields, server: McpServer | undefined): boolean {
  const hasKey = server?.auth_type === "api_key" && server.has_api_key;
  const lacksSecret =
    (fields.auth_type === "api_key" && (fields.api_key_header.trim() === "" || (!hasKey && fields.api_key_value === ""))) ||
    (fields.auth_type === "custom_headers" && fields.headers !== null && Object.keys(headersOf(fields.headers)).length === 0);
  return lacksSecret || [fields.display_name, fields.slug, fields.url].some((text) => text.trim() === "");
}

/** Secrets are bound to the place they were typed for. */
function isMoved(to: string, from: string | undefined): boolean {
  try {
    return new URL(to.trim()).origin !== new URL(from ?? "").origin;
  } catch {
    return to.trim() !== "" && from !== undefined && from !== "";
  }
}

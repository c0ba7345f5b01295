// What went through the OpenAI- and Anthropic-compatible endpoints. Users see their own, administrators everybody's.
import { call } from "./client.ts";

export interface Initiator {
  id: string;
  username: string;
  /** May be empty. */
  name: string;
}

export interface TokenSums {
  /** Without the cached ones. */
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_write_input_tokens: number;
}

interface SessionHead {
  /** As the client has chosen it. */
  id: string;
  initiator: Initiator;
  /** By name. */
  providers: string[];
  models: string[];
  client?: string | null;
  started_at: string;
  ended_at: string;
  token_usage_summary: TokenSums;
}

export interface BridgeSession extends SessionHead {
  /** How many. */
  threads: number;
  last_prompt?: string | null;
}

export interface BridgeSessions {
  /** Of all pages. */
  count: number;
  sessions: BridgeSession[];
}

export interface BridgeToolUse {
  id: string;
  tool: string;
  /** Usually JSON. */
  input: string;
  /** It was Tandem's tool, not the client's. */
  injected: boolean;
  server_url: string;
  invocation_error: string;
}

export interface BridgeThought {
  id: string;
  text: string;
  source: string;
}

/** One exchange in which the model thought or called tools. */
export interface BridgeAction {
  model: string;
  token_usage: TokenSums;
  thinking: BridgeThought[];
  tool_calls: BridgeToolUse[];
}

/** From something a person wrote until the model was done with it. */
export interface BridgeThread {
  id: string;
  prompt?: string | null;
  model: string;
  provider: string;
  provider_name: string;
  credential_kind: string;
  credential_hint: string;
  started_at: string;
  ended_at: string;
  token_usage: TokenSums;
  agentic_actions: BridgeAction[];
  /** Exchanges with the model. */
  interception_count: number;
}

export interface BridgeSessionThreads extends SessionHead {
  threads: BridgeThread[];
  has_more: boolean;
}

export const SESSIONS_PER_PAGE = 25;
export const THREADS_PER_PAGE = 50;
/** Values offered for choosing one. */
const MAX_VALUES = 100;

/** Newest first. `q`: `key:value` terms. */
export const listBridgeSessions = (q: string, offset: number) =>
  call<BridgeSessions>("GET", "/aibridge/sessions", { query: { q: q || undefined, limit: SESSIONS_PER_PAGE, offset: offset || undefined } });
/** Oldest first. `initiator`: whose session it is, where administrators look at others'. */
export const getBridgeSession = (id: string, initiator: string | undefined, afterThread: string | undefined) =>
  call<BridgeSessionThreads>("GET", `/aibridge/sessions/${encodeURIComponent(id)}`, { query: { limit: THREADS_PER_PAGE, after_id: afterThread, initiator } });
export const listBridgeModels = () => call<string[]>("GET", "/aibridge/models", { query: { limit: MAX_VALUES } });
export const listBridgeClients = () => call<string[]>("GET", "/aibridge/clients", { query: { limit: MAX_VALUES } });

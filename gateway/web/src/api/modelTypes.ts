// The shapes of models and of the providers behind them. Only data, as in `types.ts`.

export interface ModelConfig {
  id: string;
  provider: string;
  ai_provider_id?: string;
  model: string;
  display_name: string;
  enabled: boolean;
  is_default: boolean;
  context_limit: number;
  /** Percent of the context at which history is summarized; 100: never. */
  compression_threshold: number;
  /** Prices and options of every call; absent when there are none. */
  model_config?: CallConfig;
}

/** Open on purpose: what a provider understands changes faster than this page. `lib/callOptions.ts` knows what forms offer. */
export type CallConfig = Readonly<Record<string, unknown>>;

export interface NewModelConfig {
  ai_provider_id: string;
  model: string;
  context_limit: number;
  display_name?: string;
  enabled?: boolean;
  is_default?: boolean;
  compression_threshold?: number;
  /** Replaces the whole. */
  model_config?: CallConfig;
}

export interface ProviderKey {
  id: string;
  masked: string;
  created_at: string;
}

export interface Provider {
  id: string;
  type: string;
  name: string;
  display_name: string;
  enabled: boolean;
  base_url: string;
  /** In the order in which they are tried. */
  api_keys: ProviderKey[];
  /** Whose keys are used, and how much at once; older servers have none of these. */
  central_api_key_enabled?: boolean;
  allow_user_api_key?: boolean;
  allow_central_api_key_fallback?: boolean;
  /** Answers at once; 0: no limit. */
  max_concurrent?: number;
}

export interface NewProvider {
  type: string;
  name: string;
  display_name?: string;
  enabled: boolean;
  base_url?: string;
  api_keys?: string[];
}

export interface ProviderPatch {
  display_name?: string;
  enabled?: boolean;
  base_url?: string;
  /** The whole wanted set in its order: keep by id, add by key, anything else is removed. */
  api_keys?: ({ id: string } | { api_key: string })[];
  central_api_key_enabled?: boolean;
  allow_user_api_key?: boolean;
  allow_central_api_key_fallback?: boolean;
  max_concurrent?: number;
}

export interface ProviderCheck {
  type: string;
  base_url?: string;
  api_key?: string;
  provider_id?: string;
}

export interface ProviderCheckResult {
  ok: boolean;
  message: string;
  models: string[];
  latency_ms: number;
}

/** How many keys were sealed anew, were so already, and cannot be opened any more. */
export interface SealedKeys {
  resealed: number;
  current: number;
  unreadable: number;
}

export interface DetectedServer {
  kind: string;
  base_url: string;
  models: string[];
}

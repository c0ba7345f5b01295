// How providers do, as one replica of the provider gateway sees it; for administrators.
import { call } from "./client.ts";

export type KeyState = "healthy" | "limited" | "refused" | "unreadable";

export interface KeyHealth {
  id: string;
  masked: string;
  state: KeyState;
  /** `null` unless it rests now; a provider's only key never does. */
  resting_until: string | null;
  /** What the vendor said last against it; empty when it never did. */
  last_error: string;
  last_error_at: string | null;
}

export type BreakerState = "closed" | "open" | "half_open";

export interface BreakerHealth {
  model: string;
  state: BreakerState;
  /** In a row. */
  failures: number;
  last_failure: string;
  /** `null` unless open. */
  retry_at: string | null;
}

export interface ProviderHealth {
  provider_id: string;
  /** In the order in which they are tried. */
  keys: KeyHealth[];
  /** Only those that had trouble lately. */
  breakers: BreakerHealth[];
  running: number;
  /** 0: as many as come. */
  max_running: number;
  /** Those that wait for their turn. */
  queued: number;
}

export interface ProvidersHealth {
  /** May be empty. */
  replica: string;
  providers: ProviderHealth[];
}

export const getProvidersHealth = () => call<ProvidersHealth>("GET", "/ai/providers/health");

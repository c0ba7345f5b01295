// The stub's provider gateway: how providers do, and the keys users bring. TROUBLE=1 has keys that rest or are refused and a model
// that is paused; OWN_KEYS=1 has a provider that takes keys of users, and one that answers only those who bring one.

const inSeconds = (seconds) => new Date(Date.now() + seconds * 1_000).toISOString();
const isInTrouble = process.env.TROUBLE === "1";

/** What ails a key, by how it ends. */
const AILMENTS = {
  c3d4: () => ({ state: "limited", resting_until: inSeconds(42), last_error: "Number of request tokens has exceeded your per-minute rate limit.", last_error_at: inSeconds(-18) }),
  e5f6: () => ({ state: "refused", resting_until: inSeconds(55), last_error: "invalid x-api-key", last_error_at: inSeconds(-5) }),
  "9b9b": () => ({ state: "refused", resting_until: null, last_error: "Incorrect API key provided: sk-…9b9b. You can find your API key in the dashboard.", last_error_at: inSeconds(-70) }),
  a1b2: () => ({ last_error: "Overloaded", last_error_at: inSeconds(-5_400) }),
};

function keyHealth({ id, masked }) {
  const ailment = isInTrouble ? AILMENTS[masked.slice(-4)]?.() : undefined;
  return { id, masked, state: "healthy", resting_until: null, last_error: "", last_error_at: null, ...ailment };
}

function healthOf(provider) {
  const isBusy = isInTrouble && provider.type === "anthropic";
  return {
    provider_id: provider.id,
    keys: provider.api_keys.map(keyHealth),
    breakers: isBusy
      ? [
          { model: "claude-haiku-4-5", state: "open", failures: 5, last_failure: "status 529", retry_at: inSeconds(12) },
          { model: "claude-opus-4-1", state: "half_open", failures: 6, last_failure: "no connection", retry_at: null },
        ]
      : [],
    running: isBusy ? 8 : 0,
    max_running: provider.max_concurrent,
    queued: isBusy ? 2 : 0,
  };
}

/** What every provider has beside its keys. */
export const ACCESS = { central_api_key_enabled: true, allow_user_api_key: false, allow_central_api_key_fallback: false, max_concurrent: 0 };

export function providers({ state, Problem, known }) {
  const own = new Map();
  const configOf = (provider) => {
    const { id, type, name, display_name, enabled } = provider;
    const isAllowed = provider.allow_user_api_key;
    const hasCentral = provider.api_keys.length > 0 && provider.central_api_key_enabled && (!isAllowed || provider.allow_central_api_key_fallback);
    return { provider: { id, type, name, display_name, enabled, deleted: false }, has_user_api_key: own.has(id), has_provider_api_key: hasCentral, byok_enabled: isAllowed, masked: own.get(id) ?? "" };
  };
  const find = (id) => {
    const provider = state.providers.find((one) => one.id === id);
    if (!provider) throw new Problem(404, "There is no such provider.");
    return provider;
  };
  return [
    ["GET", "/ai/providers/health", () => {
      known();
      state.healthAsked = (state.healthAsked ?? 0) + 1;
      return { replica: "gw-1", providers: state.providers.map(healthOf) };
    }],
    ["GET", "/stub/health-asked", () => ({ times: state.healthAsked ?? 0 })],
    ["GET", "/users/me/ai-provider-keys", () => state.providers.map(configOf)],
    ["PUT", "/users/me/ai-provider-keys/:id", ({ id, body }) => {
      const provider = find(id);
      if (!provider.allow_user_api_key) throw new Problem(403, "Users cannot bring their own keys for this provider.");
      own.set(id, `${body.api_key.slice(0, 3)}…${body.api_key.slice(-4)}`);
      return configOf(provider);
    }],
    ["DELETE", "/users/me/ai-provider-keys/:id", ({ id }) => void own.delete(find(id).id)],
  ];
}

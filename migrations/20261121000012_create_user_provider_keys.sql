-- Users' own keys of providers, and who may bring one; the order of a provider's keys; how many completions a provider takes at once.
-- A new table. The columns have constant defaults, so adding them rewrites nothing and locks the two small tables for a moment only.

CREATE TABLE user_provider_keys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider_id uuid NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    masked text NOT NULL,
    -- Ciphertext, bound to user, provider and key id.
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, provider_id)
);
CREATE INDEX user_provider_keys_provider ON user_provider_keys (provider_id);

ALTER TABLE providers
    ADD COLUMN uses_central_keys boolean NOT NULL DEFAULT true,
    ADD COLUMN allows_user_keys boolean NOT NULL DEFAULT false,
    ADD COLUMN allows_central_fallback boolean NOT NULL DEFAULT false,
    -- 0: no limit.
    ADD COLUMN max_concurrent integer NOT NULL DEFAULT 0 CHECK (max_concurrent >= 0);

-- Keys stored before have 0 and stay in the order in which they came.
ALTER TABLE provider_keys ADD COLUMN place integer NOT NULL DEFAULT 0;

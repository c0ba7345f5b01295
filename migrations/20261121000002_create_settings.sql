-- Providers, their sealed keys, models, and settings. New tables only; locks nothing.

CREATE TABLE providers (
    id uuid PRIMARY KEY,
    type text NOT NULL,
    name text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    is_enabled boolean NOT NULL DEFAULT false,
    base_url text NOT NULL DEFAULT '',
    settings jsonb,
    -- Ciphertext; only provider-gateway can open it.
    sealed_settings bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Deleted providers keep their row, so that history stays readable.
    deleted_at timestamptz
);
CREATE UNIQUE INDEX providers_live_name ON providers (name) WHERE deleted_at IS NULL;

CREATE TABLE provider_keys (
    id uuid PRIMARY KEY,
    provider_id uuid NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    masked text NOT NULL,
    -- Ciphertext, bound to provider and key id.
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX provider_keys_provider ON provider_keys (provider_id);

CREATE TABLE model_configs (
    id uuid PRIMARY KEY,
    provider_id uuid NOT NULL REFERENCES providers (id),
    model text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    is_enabled boolean NOT NULL DEFAULT true,
    is_default boolean NOT NULL DEFAULT false,
    context_limit bigint NOT NULL CHECK (context_limit > 0),
    compression_threshold integer NOT NULL DEFAULT 70 CHECK (compression_threshold BETWEEN 0 AND 100),
    call_config jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX model_configs_one_default ON model_configs (is_default) WHERE is_default AND deleted_at IS NULL;
CREATE INDEX model_configs_provider ON model_configs (provider_id);

CREATE TABLE deployment_settings (
    key text PRIMARY KEY,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE user_settings (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key text NOT NULL,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

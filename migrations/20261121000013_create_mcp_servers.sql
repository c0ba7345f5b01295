-- MCP servers whose tools chats can use, and users' tokens for those that ask for an account. New tables; nothing else is touched.

CREATE TABLE mcp_servers (
    id uuid PRIMARY KEY,
    display_name text NOT NULL CHECK (octet_length(display_name) BETWEEN 1 AND 128),
    -- Begins the names of the server's tools, which models have 64 characters for.
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9]+([_-][a-z0-9]+)*$' AND slug NOT LIKE '%\_\_%' AND length(slug) <= 40),
    description text NOT NULL DEFAULT '' CHECK (octet_length(description) <= 4096),
    icon_url text NOT NULL DEFAULT '' CHECK (octet_length(icon_url) <= 2048),
    url text NOT NULL CHECK (octet_length(url) BETWEEN 1 AND 2048),
    transport text NOT NULL CHECK (transport IN ('streamable_http')),
    auth_type text NOT NULL CHECK (auth_type IN ('none', 'oauth2', 'api_key', 'custom_headers', 'user_oidc')),
    availability text NOT NULL CHECK (availability IN ('force_on', 'default_on', 'default_off')),
    is_enabled boolean NOT NULL DEFAULT false,
    has_model_intent boolean NOT NULL DEFAULT false,
    is_allowed_in_plan_mode boolean NOT NULL DEFAULT false,
    forwards_identity boolean NOT NULL DEFAULT false,
    tool_allow_list text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tool_allow_list) <= 256),
    tool_deny_list text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tool_deny_list) <= 256),
    oauth2_client_id text NOT NULL DEFAULT '',
    oauth2_auth_url text NOT NULL DEFAULT '',
    oauth2_token_url text NOT NULL DEFAULT '',
    oauth2_scopes text NOT NULL DEFAULT '',
    oauth2_revocation_url text NOT NULL DEFAULT '',
    api_key_header text NOT NULL DEFAULT '',
    -- Ciphertext that only tool-runner can open, bound to the row and the column.
    sealed_oauth2_secret bytea,
    sealed_api_key bytea,
    sealed_custom_headers bytea,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- Chats name servers by id without a reference: a server that is gone is passed over.
CREATE UNIQUE INDEX mcp_servers_slug ON mcp_servers (slug);

CREATE TABLE mcp_tokens (
    server_id uuid NOT NULL REFERENCES mcp_servers (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Ciphertext that only tool-runner can open, bound to server and user.
    sealed bytea NOT NULL,
    -- NULL: it does not expire.
    expires_at timestamptz,
    has_refresh_token boolean NOT NULL DEFAULT false,
    -- Why it is of no use any more.
    failure text NOT NULL DEFAULT '' CHECK (octet_length(failure) <= 400),
    -- A refresh that two replicas begin at once is stored by the first.
    revision bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (server_id, user_id)
);
CREATE INDEX mcp_tokens_user ON mcp_tokens (user_id);

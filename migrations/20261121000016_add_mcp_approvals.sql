-- What people have accepted of MCP servers: definitions of tools, and servers that workspaces name themselves. Besides, which tools a
-- chat has searched for, and the older transport. New tables; `mcp_servers` is locked for a moment while it gets a column with a
-- constant default and another check, which its few rows satisfy.

ALTER TABLE mcp_servers ADD COLUMN is_pinned boolean NOT NULL DEFAULT true;
ALTER TABLE mcp_servers DROP CONSTRAINT mcp_servers_transport_check;
ALTER TABLE mcp_servers ADD CONSTRAINT mcp_servers_transport_check CHECK (transport IN ('streamable_http', 'sse'));

CREATE TABLE mcp_tool_pins (
    server_id uuid NOT NULL REFERENCES mcp_servers (id) ON DELETE CASCADE,
    -- As the server names it.
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 256),
    -- SHA-256 of description and schema.
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    -- Kept to show what has changed.
    description text NOT NULL CHECK (octet_length(description) <= 16384),
    input_schema text NOT NULL CHECK (octet_length(input_schema) <= 131072),
    -- NULL: seen for the first time, by whomever.
    approved_by uuid REFERENCES users (id) ON DELETE SET NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (server_id, name)
);
CREATE INDEX mcp_tool_pins_approved_by ON mcp_tool_pins (approved_by);

CREATE TABLE workspace_mcp_approvals (
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- SHA-256 of the definition, so that another one is another approval.
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    -- What the person was shown.
    name text NOT NULL CHECK (octet_length(name) <= 256),
    shown text NOT NULL CHECK (octet_length(shown) <= 4096),
    approved_by uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, digest)
);
CREATE INDEX workspace_mcp_approvals_approved_by ON workspace_mcp_approvals (approved_by);

CREATE TABLE found_mcp_tools (
    chat_id uuid NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    -- As models are offered it.
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 64),
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, name)
);

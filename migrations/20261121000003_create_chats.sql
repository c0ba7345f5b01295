-- Chats, their messages, queues and changes. New tables only; locks nothing.

CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users (id),
    organization_id uuid NOT NULL REFERENCES organizations (id),
    name text NOT NULL,
    template_name text NOT NULL,
    status text NOT NULL DEFAULT 'stopped'
        CHECK (status IN ('stopped', 'starting', 'running', 'failed', 'deleted')),
    status_message text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX workspaces_owner ON workspaces (owner_id, created_at DESC);

CREATE TABLE chats (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id),
    owner_id uuid NOT NULL REFERENCES users (id),
    parent_chat_id uuid REFERENCES chats (id),
    root_chat_id uuid NOT NULL REFERENCES chats (id),
    workspace_id uuid REFERENCES workspaces (id) ON DELETE SET NULL,
    last_model_config_id uuid NOT NULL REFERENCES model_configs (id),
    title text NOT NULL,
    client_type text NOT NULL CHECK (client_type IN ('ui', 'api')),
    plan_mode text CHECK (plan_mode IN ('plan')),
    labels jsonb NOT NULL DEFAULT '{}',
    mcp_server_ids uuid[] NOT NULL DEFAULT '{}',
    dynamic_tools jsonb NOT NULL DEFAULT '[]',
    pin_order integer NOT NULL DEFAULT 0,
    last_turn_summary text,
    last_read_message_id bigint NOT NULL DEFAULT 0,

    -- The state machine's own columns: written only from one of its decisions, together with version.
    status text NOT NULL
        CHECK (status IN ('waiting', 'pending', 'running', 'interrupting', 'requires_action', 'error')),
    progress text NOT NULL DEFAULT 'between' CHECK (progress IN ('between', 'asking', 'calling')),
    is_archived boolean NOT NULL DEFAULT false,
    epoch bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1,
    lease_owner uuid,
    lease_expires_at timestamptz,
    lease_address text,
    action_deadline timestamptz,
    last_error jsonb,
    pending_tool_calls jsonb NOT NULL DEFAULT '[]',

    -- Where the turn stands: what a new owner needs to go on.
    intent jsonb,
    turn_step integer NOT NULL DEFAULT 0,
    sealed jsonb,

    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((status IN ('running', 'interrupting')) = (lease_owner IS NOT NULL))
);
CREATE INDEX chats_owner ON chats (owner_id, updated_at DESC, id DESC) WHERE parent_chat_id IS NULL;
CREATE INDEX chats_parent ON chats (parent_chat_id) WHERE parent_chat_id IS NOT NULL;
CREATE INDEX chats_root ON chats (root_chat_id);
CREATE INDEX chats_workspace ON chats (workspace_id) WHERE workspace_id IS NOT NULL;
-- What a claim looks through.
CREATE INDEX chats_pending ON chats (updated_at) WHERE status = 'pending';
CREATE INDEX chats_leased ON chats (lease_expires_at) WHERE lease_owner IS NOT NULL;

CREATE TABLE chat_messages (
    -- Order of a conversation is by id, never by time: ids are taken under the chat's row lock.
    id bigserial PRIMARY KEY,
    chat_id uuid NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    created_by uuid REFERENCES users (id),
    model_config_id uuid REFERENCES model_configs (id),
    role text NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    visibility text NOT NULL DEFAULT 'both' CHECK (visibility IN ('both', 'user', 'model')),
    content jsonb NOT NULL,
    content_version smallint NOT NULL,
    usage jsonb,
    cost_micros bigint,
    runtime_ms bigint,
    provider_response_id text,
    is_compressed boolean NOT NULL DEFAULT false,
    -- Withdrawn by an edit; kept because it was paid for.
    is_deleted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chat_messages_live ON chat_messages (chat_id, id) WHERE NOT is_deleted;

CREATE TABLE chat_queued_messages (
    id bigserial PRIMARY KEY,
    chat_id uuid NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    -- Only this orders the queue; ids stay with their messages.
    position bigint NOT NULL,
    created_by uuid REFERENCES users (id),
    model_config_id uuid NOT NULL REFERENCES model_configs (id),
    content jsonb NOT NULL,
    content_version smallint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chat_queued_messages_order ON chat_queued_messages (chat_id, position);

-- One row for each committed change of a chat. Per chat, version orders them; across chats, (xid, seq) does, read only below the
-- oldest transaction still running, so that a late commit is never skipped.
CREATE TABLE chat_changes (
    chat_id uuid NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    version bigint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq bigserial,
    owner_id uuid NOT NULL,
    status text NOT NULL,
    previous_status text NOT NULL,
    epoch bigint NOT NULL,
    first_message_id bigint,
    last_message_id bigint,
    sealed jsonb,
    is_queue_changed boolean NOT NULL DEFAULT false,
    error jsonb,
    history_reset_from_id bigint,
    is_preview_reset boolean NOT NULL DEFAULT false,
    action_required jsonb,
    watch_kinds integer[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, version)
);
CREATE INDEX chat_changes_feed ON chat_changes (owner_id, xid, seq) WHERE watch_kinds <> '{}';
CREATE INDEX chat_changes_age ON chat_changes (created_at);

-- What goes through the OpenAI- and Anthropic-compatible endpoints, and a purpose for what it costs. New tables lock nothing. Widening the
-- CHECK of usage_records locks that table for a moment: all its rows satisfy the new one because they satisfied the old one, so that it is
-- not validated and the rows are not read.

CREATE TABLE interceptions (
    id uuid PRIMARY KEY,
    -- Without references: a record outlives what it tells of, and one that names something unknown must not hold up the others.
    initiator_id uuid NOT NULL,
    credential_id text NOT NULL,
    provider_id uuid,
    provider_type text NOT NULL,
    provider_name text NOT NULL,
    -- As asked for.
    model text NOT NULL,
    -- Empty when unknown.
    client text NOT NULL,
    user_agent text NOT NULL,
    -- Empty when the client gave none.
    client_session_id text NOT NULL,
    -- The last tool call the request brings a result of; empty for none.
    correlating_tool_call_id text NOT NULL,
    credential_kind text NOT NULL CHECK (credential_kind IN ('centralized', 'byok')),
    credential_hint text NOT NULL,
    -- The client's key, or that of its thread's root, or the root's id.
    session_id text NOT NULL,
    -- The first of its thread: itself for that one. It may have been pruned.
    thread_root_id uuid NOT NULL,
    -- The one whose tool call it answers.
    thread_parent_id uuid,
    started_at timestamptz NOT NULL,
    -- NULL while it runs, and for ever if whoever ran it is gone.
    ended_at timestamptz,
    -- The HTTP status the client saw.
    status integer
);
-- Lists show what has ended. Sessions are cut into pages from this index alone.
CREATE INDEX interceptions_session ON interceptions (initiator_id, session_id, started_at) WHERE ended_at IS NOT NULL;
CREATE INDEX interceptions_initiator ON interceptions (initiator_id, started_at DESC, id DESC) WHERE ended_at IS NOT NULL;
CREATE INDEX interceptions_started ON interceptions (started_at DESC, id DESC) WHERE ended_at IS NOT NULL;
-- Whose session a key is, for those who see all.
CREATE INDEX interceptions_session_key ON interceptions (session_id) WHERE ended_at IS NOT NULL;
-- A thread that turns out to continue another moves as a whole.
CREATE INDEX interceptions_thread ON interceptions (thread_root_id);
-- Those that wait for the tool call they answer to be recorded.
CREATE INDEX interceptions_orphan ON interceptions (initiator_id, correlating_tool_call_id, started_at)
    WHERE thread_parent_id IS NULL AND correlating_tool_call_id <> '';
-- The oldest, for pruning.
CREATE INDEX interceptions_age ON interceptions ((coalesce(ended_at, started_at)));

CREATE TABLE token_usages (
    id uuid PRIMARY KEY,
    interception_id uuid NOT NULL REFERENCES interceptions (id) ON DELETE CASCADE,
    message_id text NOT NULL,
    -- Without those read from a cache.
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    -- Counts only one vendor has, by name.
    extra jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX token_usages_interception ON token_usages (interception_id);

CREATE TABLE user_prompts (
    id uuid PRIMARY KEY,
    interception_id uuid NOT NULL REFERENCES interceptions (id) ON DELETE CASCADE,
    message_id text NOT NULL,
    prompt text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX user_prompts_interception ON user_prompts (interception_id, created_at DESC);

CREATE TABLE tool_usages (
    id uuid PRIMARY KEY,
    interception_id uuid NOT NULL REFERENCES interceptions (id) ON DELETE CASCADE,
    -- That of the interception: some vendors give the same ids to everybody's calls.
    initiator_id uuid NOT NULL,
    message_id text NOT NULL,
    tool_name text NOT NULL,
    tool_call_id text NOT NULL,
    -- The MCP server of an injected tool; else empty.
    server_url text NOT NULL,
    -- Text: a model's arguments need not be JSON, and long ones are cut.
    arguments_json text NOT NULL,
    is_injected boolean NOT NULL,
    invocation_error text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX tool_usages_interception ON tool_usages (interception_id);
-- Threads are found by the calls their next request answers.
CREATE INDEX tool_usages_call ON tool_usages (initiator_id, tool_call_id, created_at DESC, id DESC) WHERE tool_call_id <> '';

CREATE TABLE model_thoughts (
    id uuid PRIMARY KEY,
    interception_id uuid NOT NULL REFERENCES interceptions (id) ON DELETE CASCADE,
    content text NOT NULL,
    source text NOT NULL CHECK (source IN ('thinking', 'reasoning_summary', 'commentary')),
    created_at timestamptz NOT NULL
);
CREATE INDEX model_thoughts_interception ON model_thoughts (interception_id);

ALTER TABLE usage_records
    DROP CONSTRAINT usage_records_purpose_check,
    ADD CONSTRAINT usage_records_purpose_check CHECK (purpose IN ('answer', 'title', 'turn_summary', 'bridge')) NOT VALID;

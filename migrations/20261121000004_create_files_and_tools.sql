-- Files and the tool-call journal. New tables only; locks nothing.

CREATE TABLE files (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users (id),
    organization_id uuid NOT NULL REFERENCES organizations (id),
    name text NOT NULL,
    media_type text NOT NULL,
    size_bytes bigint NOT NULL,
    data bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Attachments are compressed already where it pays.
ALTER TABLE files ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE chat_file_links (
    chat_id uuid NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    file_id uuid NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, file_id)
);
CREATE INDEX chat_file_links_file ON chat_file_links (file_id);

-- An intent before the effect, a result after it. A vendor's call id is unique within its chat only.
CREATE TABLE tool_calls (
    chat_id uuid NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    tool_call_id text NOT NULL,
    tool_name text NOT NULL,
    input_digest bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('started', 'finished', 'unknown')),
    result jsonb,
    is_error boolean NOT NULL DEFAULT false,
    resume_token text NOT NULL DEFAULT '',
    workspace_id uuid,
    begun_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (chat_id, tool_call_id)
);

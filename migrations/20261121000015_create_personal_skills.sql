-- Skills of users, and which messages are context rather than speech.
-- A new table. The column has no default, so adding it rewrites nothing and locks the table of messages for a moment only; the index is
-- empty when it is made. The release before this one writes no context and reads none.

CREATE TABLE personal_skills (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (octet_length(name) <= 256 AND name ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    description text NOT NULL CHECK (octet_length(description) <= 4096),
    body text NOT NULL CHECK (octet_length(body) BETWEEN 1 AND 65536),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, name)
);

-- What an agent found, or a process in the workspace added. Of each, the newest counts as a whole.
ALTER TABLE chat_messages ADD COLUMN context text CHECK (context IN ('found', 'added'));
CREATE INDEX chat_messages_context ON chat_messages (chat_id, id) WHERE context IS NOT NULL AND NOT is_deleted;

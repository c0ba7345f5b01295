-- What people have said of tool calls that waited for their word, and which calls of a chat wait. The column has a constant default, so
-- nothing is rewritten.

ALTER TABLE chats
    ADD COLUMN approval_mode text NOT NULL DEFAULT 'never' CHECK (approval_mode IN ('never', 'risky', 'always'));

CREATE TABLE tool_call_approvals (
    chat_id uuid NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    tool_call_id text NOT NULL CHECK (octet_length(tool_call_id) BETWEEN 1 AND 256),
    -- The tool and SHA-256 of the input that the person was shown, and where it was to run: nothing else is approved by this.
    tool_name text NOT NULL CHECK (octet_length(tool_name) BETWEEN 1 AND 256),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    workspace_id uuid,
    is_approved boolean NOT NULL,
    -- What the person said to the model; of declined calls only.
    reason text NOT NULL DEFAULT '' CHECK (octet_length(reason) <= 1024),
    decided_by uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    decided_at timestamptz NOT NULL DEFAULT now(),
    -- An approval starts a call until then.
    expires_at timestamptz NOT NULL,
    -- When a call was started by it. It starts none again.
    used_at timestamptz,
    PRIMARY KEY (chat_id, tool_call_id)
);
CREATE INDEX tool_call_approvals_decided_by ON tool_call_approvals (decided_by);

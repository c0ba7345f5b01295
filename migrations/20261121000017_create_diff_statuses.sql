-- Where chats work in git, what is known of their pull requests, and users' credentials for hosts of repositories. New tables; nothing
-- else is touched.

CREATE TABLE chat_diff_statuses (
    chat_id uuid PRIMARY KEY REFERENCES chats (id) ON DELETE CASCADE,
    git_branch text NOT NULL DEFAULT '' CHECK (octet_length(git_branch) <= 1024),
    git_remote_origin text NOT NULL DEFAULT '' CHECK (octet_length(git_remote_origin) <= 2048),
    -- When that was seen: what was seen before does not replace it.
    observed_at timestamptz NOT NULL,

    url text NOT NULL DEFAULT '' CHECK (octet_length(url) <= 4096),
    pull_request_state text NOT NULL DEFAULT '' CHECK (pull_request_state IN ('', 'open', 'closed', 'merged')),
    pull_request_title text NOT NULL DEFAULT '' CHECK (octet_length(pull_request_title) <= 4096),
    is_draft boolean NOT NULL DEFAULT false,
    has_changes_requested boolean NOT NULL DEFAULT false,
    additions integer NOT NULL DEFAULT 0,
    deletions integer NOT NULL DEFAULT 0,
    changed_files integer NOT NULL DEFAULT 0,
    author_login text NOT NULL DEFAULT '',
    author_avatar_url text NOT NULL DEFAULT '',
    base_branch text NOT NULL DEFAULT '',
    head_branch text NOT NULL DEFAULT '',
    pull_request_number integer NOT NULL DEFAULT 0,
    commits integer,
    is_approved boolean,
    reviewer_count integer,

    refreshed_at timestamptz,
    -- A claim moves it ahead, so that a question whose asker died is asked again.
    stale_at timestamptz NOT NULL DEFAULT now(),
    marked_at timestamptz NOT NULL DEFAULT now()
);
-- What a claim looks through: only those that can be asked for.
CREATE INDEX chat_diff_statuses_stale ON chat_diff_statuses (stale_at) WHERE git_branch <> '' AND git_remote_origin <> '';

CREATE TABLE git_credentials (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    host text NOT NULL CHECK (octet_length(host) BETWEEN 1 AND 260),
    username text NOT NULL DEFAULT '' CHECK (octet_length(username) <= 256),
    -- Ciphertext that only tool-runner can open, bound to user and host.
    sealed bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, host)
);

-- Templates whose workspaces must run the active version, chats found by the address of their pull request, and one state less for builds.
-- The column has a constant default, so nothing is rewritten; the index is on a small table. No release has ever stored `canceling`.

ALTER TABLE templates ADD COLUMN requires_active_version boolean NOT NULL DEFAULT false;

-- A hash: addresses may be longer than what a sorted index holds.
CREATE INDEX chat_diff_statuses_url ON chat_diff_statuses USING hash (lower(url)) WHERE url <> '';

ALTER TABLE workspace_builds
    DROP CONSTRAINT workspace_builds_status_check,
    ADD CONSTRAINT workspace_builds_status_check CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'canceled'));
DROP INDEX workspace_builds_open;
CREATE UNIQUE INDEX workspace_builds_open ON workspace_builds (workspace_id) WHERE status IN ('pending', 'running');

-- What workspaces are made from, and what happens to them. New tables; adds columns to `workspaces`, which is locked for moments only.

CREATE TABLE templates (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(name) <= 32),
    display_name text NOT NULL DEFAULT '' CHECK (octet_length(display_name) <= 128),
    description text NOT NULL DEFAULT '' CHECK (octet_length(description) <= 4096),
    readme text NOT NULL DEFAULT '' CHECK (octet_length(readme) <= 65536),
    icon_url text NOT NULL DEFAULT '' CHECK (octet_length(icon_url) <= 2048),
    is_deprecated boolean NOT NULL DEFAULT false,
    -- Every organisation's `local`, which cannot be deleted.
    is_builtin boolean NOT NULL DEFAULT false,
    active_version_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Deleted templates keep their row: workspaces made from them go on.
    deleted_at timestamptz
);
CREATE UNIQUE INDEX templates_live_name ON templates (organization_id, name) WHERE deleted_at IS NULL;

CREATE TABLE template_versions (
    id uuid PRIMARY KEY,
    template_id uuid NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    backend text NOT NULL CHECK (backend IN ('local', 'external', 'kubernetes')),
    spec jsonb NOT NULL,
    created_by uuid REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (template_id, number)
);
-- Both rows are written by one transaction, the template first.
ALTER TABLE templates ADD CONSTRAINT templates_active_version
    FOREIGN KEY (active_version_id) REFERENCES template_versions (id) DEFERRABLE INITIALLY DEFERRED;

DO $$
DECLARE
    organization uuid;
    template uuid;
    version uuid;
BEGIN
    FOR organization IN SELECT id FROM organizations LOOP
        template := gen_random_uuid();
        version := gen_random_uuid();
        INSERT INTO templates (id, organization_id, name, display_name, description, is_builtin, active_version_id)
        VALUES (template, organization, 'local', 'Local', 'A directory on the machine Tandem runs on.', true, version);
        INSERT INTO template_versions (id, template_id, number, backend, spec)
        VALUES (version, template, 1, 'local', '{}');
    END LOOP;
END
$$;

ALTER TABLE workspaces
    ADD COLUMN template_id uuid REFERENCES templates (id),
    ADD COLUMN template_version_id uuid REFERENCES template_versions (id),
    ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}',
    -- Stopped after this long without use; 0: never.
    ADD COLUMN ttl_ms bigint NOT NULL DEFAULT 0 CHECK (ttl_ms >= 0),
    ADD COLUMN latest_build_id uuid,
    -- Of an agent that its user starts: SHA-256 of its token.
    ADD COLUMN agent_token_hash bytea,
    ADD COLUMN agent_id uuid,
    ADD COLUMN agent_is_connected boolean NOT NULL DEFAULT false,
    ADD COLUMN agent_first_connected_at timestamptz,
    ADD COLUMN agent_last_connected_at timestamptz,
    ADD COLUMN agent_disconnected_at timestamptz,
    ADD COLUMN deleted_at timestamptz;
UPDATE workspaces w SET template_id = t.id, template_version_id = t.active_version_id
    FROM templates t WHERE t.organization_id = w.organization_id AND t.is_builtin;
UPDATE workspaces SET deleted_at = now() WHERE status = 'deleted';
ALTER TABLE workspaces
    DROP CONSTRAINT workspaces_status_check,
    ADD CONSTRAINT workspaces_status_check
        CHECK (status IN ('stopped', 'starting', 'running', 'stopping', 'deleting', 'failed', 'deleted'));
CREATE UNIQUE INDEX workspaces_live_name ON workspaces (owner_id, lower(name)) WHERE deleted_at IS NULL;
-- What auto-stop looks through.
CREATE INDEX workspaces_idle ON workspaces (last_used_at) WHERE status = 'running' AND ttl_ms > 0;

CREATE TABLE workspace_builds (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    transition text NOT NULL CHECK (transition IN ('start', 'stop', 'delete')),
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'canceling', 'canceled')),
    reason text NOT NULL CHECK (reason IN ('user', 'chat', 'idle')),
    template_version_id uuid NOT NULL REFERENCES template_versions (id),
    -- NULL: Tandem itself.
    initiator_id uuid REFERENCES users (id),
    error text NOT NULL DEFAULT '' CHECK (octet_length(error) <= 4096),
    error_code text NOT NULL DEFAULT '',
    -- How the startup script ended.
    startup text NOT NULL DEFAULT 'none' CHECK (startup IN ('none', 'succeeded', 'failed', 'timeout', 'unknown')),
    log text NOT NULL DEFAULT '' CHECK (octet_length(log) <= 131072),
    -- A lease: who runs the build, for the how-manieth time, and until when nobody else does.
    runner_id uuid,
    attempt integer NOT NULL DEFAULT 0,
    lease_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    UNIQUE (workspace_id, number)
);
-- What a claim looks through; and one at a time for each workspace.
CREATE UNIQUE INDEX workspace_builds_open ON workspace_builds (workspace_id)
    WHERE status IN ('pending', 'running', 'canceling');
ALTER TABLE workspaces ADD CONSTRAINT workspaces_latest_build
    FOREIGN KEY (latest_build_id) REFERENCES workspace_builds (id) DEFERRABLE INITIALLY DEFERRED;

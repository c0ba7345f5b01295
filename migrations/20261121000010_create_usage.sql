-- What model calls have used, what is set aside for those under way, and how much a user may spend. New tables; the past is copied from
-- the messages that were paid for, which are only read.

CREATE TABLE usage_records (
    completion_id uuid PRIMARY KEY,
    -- Without references: a bill outlives what it is for.
    owner_id uuid NOT NULL,
    organization_id uuid,
    chat_id uuid,
    root_chat_id uuid,
    model_config_id uuid NOT NULL,
    provider_type text NOT NULL,
    model text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('answer', 'title', 'turn_summary')),
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cache_read_tokens bigint NOT NULL DEFAULT 0,
    cache_creation_tokens bigint NOT NULL DEFAULT 0,
    -- Millionths of a US dollar; NULL: the model has no price.
    cost_micros bigint CHECK (cost_micros >= 0),
    -- The call was cut off before the vendor told what it had used.
    is_estimated boolean NOT NULL DEFAULT false,
    runtime_ms bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now()
);
-- The spend of a user in a period is read from this index alone.
CREATE INDEX usage_records_owner ON usage_records (owner_id, ended_at) INCLUDE (cost_micros, organization_id);
CREATE INDEX usage_records_ended ON usage_records (ended_at);

CREATE TABLE spend_reservations (
    completion_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    organization_id uuid,
    -- Of one chat and purpose, only the last one counts: a chat makes one call after the other, and whoever made the one before may be gone.
    chat_id uuid,
    purpose text NOT NULL,
    micros bigint NOT NULL CHECK (micros > 0),
    -- When it is given up, because whoever made it is gone.
    expires_at timestamptz NOT NULL
);
CREATE INDEX spend_reservations_owner ON spend_reservations (owner_id);

-- At most one row. A limit of NULL switches all limits off and keeps those of users and organisations for later.
CREATE TABLE spend_limit (
    is_present boolean PRIMARY KEY DEFAULT true CHECK (is_present),
    limit_micros bigint CHECK (limit_micros > 0),
    period text NOT NULL CHECK (period IN ('day', 'week', 'month')),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE user_spend_limits (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    limit_micros bigint NOT NULL CHECK (limit_micros > 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- What each member may spend in the organisation, and not what all of them may together.
CREATE TABLE organization_spend_limits (
    organization_id uuid PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    limit_micros bigint NOT NULL CHECK (limit_micros > 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO usage_records (completion_id, owner_id, organization_id, chat_id, root_chat_id, model_config_id, provider_type, model, purpose,
    input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_micros, runtime_ms, started_at, ended_at)
SELECT gen_random_uuid(), c.owner_id, c.organization_id, c.id, c.root_chat_id, m.id, p.type, m.model, 'answer',
    coalesce((g.usage ->> 'input_tokens')::bigint, 0), coalesce((g.usage ->> 'output_tokens')::bigint, 0),
    coalesce((g.usage ->> 'cache_read_tokens')::bigint, 0), coalesce((g.usage ->> 'cache_creation_tokens')::bigint, 0),
    g.cost_micros, coalesce(g.runtime_ms, 0), g.created_at, g.created_at
FROM chat_messages g
    JOIN chats c ON c.id = g.chat_id
    JOIN model_configs m ON m.id = g.model_config_id
    JOIN providers p ON p.id = m.provider_id
WHERE g.role = 'assistant' AND g.usage IS NOT NULL;

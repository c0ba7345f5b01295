-- Requests that may come again, and what they were answered. New table only; locks nothing.
--
-- A row is inserted by the first statement of the transaction that carries the request out, and gets its outcome by the last one: it is
-- there exactly if the effect is. A duplicate waits at the primary key until that transaction has ended.

CREATE TABLE idempotency_keys (
    -- No reference: each request would lock its user's row for one. Rows are gone after a day anyway.
    user_id uuid NOT NULL,
    key text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    rpc text NOT NULL,
    -- A keyed digest of the request: bodies may hold passwords.
    fingerprint text NOT NULL,
    -- The encoded answer; NULL for one that held a secret.
    outcome bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- Titles that a person asked for and a model is making: one at a time for each chat. A new table; locks nothing.

CREATE TABLE title_jobs (
    -- Without a reference to the chat, which would hold the chat's row and so keep it from being claimed.
    chat_id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);

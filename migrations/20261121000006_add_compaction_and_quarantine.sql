-- What a compaction asked for by a person leaves for the turn to come, and how often a turn has failed by a fault of ours.
-- Constant defaults: no table is rewritten, the lock is brief.

ALTER TABLE chats
    ADD COLUMN is_compaction_requested boolean NOT NULL DEFAULT false,
    -- Since the turn last got anywhere: ends by a crash of its own, and owners that vanished.
    ADD COLUMN crash_count smallint NOT NULL DEFAULT 0,
    ADD COLUMN takeover_count smallint NOT NULL DEFAULT 0;

-- What the look for clients that do not return goes through.
CREATE INDEX chats_waiting_for_client ON chats (action_deadline) WHERE status = 'requires_action';

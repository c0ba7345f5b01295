-- Who recorded a call's intent, so that the same attempt, asking again because its answer was lost, is told that it may begin.
-- No default: no table is rewritten, the lock is brief.

ALTER TABLE tool_calls ADD COLUMN attempt_id uuid;

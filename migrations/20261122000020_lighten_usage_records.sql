-- Records of exchanges come by the thousand a second. Looking their exchange up a second time, and locking it for each of them, took
-- PostgreSQL a third of the time of storing them. Records are stored only beside exchanges that are there, and pruned with them in one
-- statement, so nothing is lost with the references. The tables are locked for a moment; no row is read.
ALTER TABLE token_usages DROP CONSTRAINT token_usages_interception_id_fkey;
ALTER TABLE user_prompts DROP CONSTRAINT user_prompts_interception_id_fkey;
ALTER TABLE tool_usages DROP CONSTRAINT tool_usages_interception_id_fkey;
ALTER TABLE model_thoughts DROP CONSTRAINT model_thoughts_interception_id_fkey;

-- Both tables grow at their end, in the order of these times, so a summary of each stretch of pages finds what is old enough to be pruned,
-- and costs next to nothing to keep. Building it reads each table once.
DROP INDEX usage_records_ended;
CREATE INDEX usage_records_ended ON usage_records USING brin (ended_at) WITH (pages_per_range = 32, autosummarize = on);
DROP INDEX interceptions_age;
CREATE INDEX interceptions_age ON interceptions USING brin ((coalesce(ended_at, started_at)))
    WITH (pages_per_range = 32, autosummarize = on);

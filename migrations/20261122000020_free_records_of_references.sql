-- Records of exchanges come by the thousand a second. Looking their exchange up a second time, and locking it for each of them, took
-- PostgreSQL a third of the time of storing them. Records are stored only beside exchanges that are there, and pruned with them in one
-- statement. What an exchange of hours' length is told of in the moment in which it is pruned as too old may stay behind alone: nothing
-- reads it. No row is read here, and the tables are locked in the order in which records are stored, so that neither waits for the other.
LOCK TABLE interceptions, token_usages, user_prompts, tool_usages, model_thoughts IN ACCESS EXCLUSIVE MODE;
ALTER TABLE token_usages DROP CONSTRAINT token_usages_interception_id_fkey;
ALTER TABLE user_prompts DROP CONSTRAINT user_prompts_interception_id_fkey;
ALTER TABLE tool_usages DROP CONSTRAINT tool_usages_interception_id_fkey;
ALTER TABLE model_thoughts DROP CONSTRAINT model_thoughts_interception_id_fkey;

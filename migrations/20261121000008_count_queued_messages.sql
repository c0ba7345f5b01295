-- The length of a chat's queue on the chat's own row: a writer that waited for the row's lock must see what the one before it queued,
-- and only the locked row itself is read anew after such a wait. Constant default: no rewrite; the update touches chats with a queue.

ALTER TABLE chats ADD COLUMN queued_count smallint NOT NULL DEFAULT 0;

UPDATE chats c SET queued_count = q.count
FROM (SELECT chat_id, count(*) AS count FROM chat_queued_messages GROUP BY chat_id) q
WHERE q.chat_id = c.id;

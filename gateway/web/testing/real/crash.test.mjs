// `kill -9` of the whole process in the middle of an answer, with the page open: the page and the turn both come back by themselves.
import assert from "node:assert/strict";
import { FakeLlm, gate, reply, text } from "./fake-llm.mjs";
import { useFake } from "./prepare.mjs";
import { stage } from "./stage.mjs";
import { times, transcript, words } from "./transcript.mjs";

let reader;
let fake;
let chatId;
const scene = stage(async (set) => {
  fake = set.with(await FakeLlm.start());
  reader = await set.visitor();
  await useFake(reader, await set.tandem.link(), fake);
});

scene("the page of a killed server says that it is reconnecting and keeps what was written", async ({ tandem }) => {
  await fake.script("Tell me a story", reply(text("Once upon"), gate("never"), text(" nothing.")), reply(text("Once upon a time"), gate("second-try"), text(" there was a server.")));
  chatId = await reader.startChat("Tell me a story");
  await reader.log.getByText("Once upon", { exact: true }).waitFor();
  await reader.say("And then?");
  await reader.waiting.getByText("And then?").waitFor();
  reader.tolerates(/ERR_CONNECTION_(REFUSED|RESET|CLOSED)|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_SOCKET_NOT_CONNECTED/);
  await tandem.kill9();
  await reader.page.getByText("Reconnecting", { exact: true }).waitFor();
  await reader.log.getByText("Once upon", { exact: true }).waitFor();
  await reader.shoot("reconnecting");
});

scene("after the restart the page reconnects by itself and follows the new attempt as it is written", async ({ tandem }) => {
  reader.tolerates(/ERR_CONNECTION_(REFUSED|RESET|CLOSED)|503/);
  await tandem.start();
  await reader.log.getByText("Once upon a time", { exact: true }).waitFor();
  assert.equal(times(await reader.conversation(), "Once upon"), 1, "the text of the first attempt is still there");
  await reader.page.getByText("Live", { exact: true }).waitFor();
});

scene("the turn completes, then the queued message is answered, and nothing is lost or doubled", async () => {
  await fake.open("second-try");
  await reader.log.getByText("You said: And then?").waitFor();
  await reader.answered(chatId);
  const told = ["user: Tell me a story", "assistant: Once upon a time there was a server.", "user: And then?", "assistant: You said: And then?"];
  assert.deepEqual(await transcript(reader, chatId), told);
  const lines = told.map(words);
  assert.deepEqual(await reader.linesShown(lines), lines);
  assert.equal((await fake.completions()).length, 3, "the story twice, the queued message once");
  await reader.shoot("after-the-crash");
  await reader.page.reload();
  await reader.answered(chatId);
  assert.deepEqual(await reader.linesShown(lines), lines);
});

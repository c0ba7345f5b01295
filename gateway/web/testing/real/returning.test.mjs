// Coming back: what a reload, another window and a look elsewhere leave of what was read, stopped and begun.
import assert from "node:assert/strict";
import { FakeLlm, gate, reply, text } from "./fake-llm.mjs";
import { useFake } from "./prepare.mjs";
import { stage } from "./stage.mjs";
import { until } from "./until.mjs";

const STOPPED = "You stopped the agent here. What it had done is kept.";
const UNANSWERED = "You stopped the agent before it answered.";

let reader;
let fake;
const scene = stage(async (set) => {
  fake = set.with(await FakeLlm.start());
  reader = await set.visitor();
  await useFake(reader, await set.tandem.link(), fake);
});

/** The titles that are marked as unread in the list. */
const unread = async (someone) => {
  const names = await someone.page.getByRole("navigation", { name: "Chats" }).getByRole("link").evaluateAll((links) => links.map((link) => [link.textContent, link.querySelector(".font-semibold") !== null]));
  return names.flatMap(([name, isBold]) => (isBold ? [name] : []));
};
const newChat = (someone) => someone.page.getByRole("button", { name: "New chat" }).click();

scene("an answer that came out of sight is marked, and the mark goes when the chat is opened and stays away after a reload", async () => {
  await fake.script("Tell me later", reply(text("First "), gate("later"), text("and last.")));
  const chatId = await reader.startChat("Tell me later");
  await reader.log.getByText("First", { exact: true }).waitFor();
  await newChat(reader);
  await fake.open("later");
  await until("the answer is marked", async () => (await unread(reader)).length === 1);
  await reader.page.getByRole("link", { name: /Tell me later/ }).click();
  await reader.answered(chatId);
  assert.deepEqual(await unread(reader), []);
  await reader.page.reload();
  await reader.answered(chatId);
  await newChat(reader);
  await reader.page.getByRole("heading", { name: "What shall we do?" }).waitFor();
  assert.deepEqual(await unread(reader), []);
  await reader.page.reload();
  await reader.page.getByRole("link", { name: /Tell me later/ }).waitFor();
  assert.deepEqual(await unread(reader), []);
});

scene("a chat whose answer was watched does not look unread when the list is read anew, nor after the server was killed", async ({ tandem }) => {
  const chatId = await reader.startChat("Watch this");
  await reader.answered(chatId);
  await reader.page.getByRole("button", { name: "More", exact: true }).click();
  // Any change of a chat has the list read again, in which the server's own mark is still behind.
  const listed = reader.page.waitForResponse((answer) => new URL(answer.url()).pathname === "/api/v1/chats" && answer.request().method() === "GET");
  await reader.page.getByRole("menuitem", { name: "Pin" }).click();
  await listed;
  reader.tolerates(/ERR_CONNECTION_(REFUSED|RESET|CLOSED)|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_SOCKET_NOT_CONNECTED|503/);
  await tandem.kill9();
  await newChat(reader);
  await tandem.start();
  await reader.page.getByRole("heading", { name: "Pinned" }).waitFor();
  await reader.page.reload();
  await reader.page.getByRole("link", { name: /Watch this/ }).waitFor();
  assert.deepEqual(await unread(reader), []);
});

scene("a stop is told after a reload, and in another browser as far as what is stored tells it", async (set) => {
  await fake.script("Go on and on", reply(text("Piece "), gate("never"), text("rest.")));
  const chatId = await reader.startChat("Watch that");
  await reader.answered(chatId);
  await reader.say("Go on and on");
  await reader.log.getByText("Piece", { exact: true }).waitFor();
  await reader.stopButton.click();
  await reader.log.getByText(STOPPED).waitFor();
  await reader.page.reload();
  await reader.log.getByText(STOPPED).waitFor();
  const elsewhere = await set.visitor({ session: { ...(await reader.session()), origins: [] } });
  await elsewhere.page.goto(`/chats/${chatId}`);
  await elsewhere.log.getByText(STOPPED).waitFor();
  await elsewhere.say("Thanks");
  await elsewhere.answered(chatId);
  assert.equal(await elsewhere.log.getByText(STOPPED).count(), 0, "a turn that ended by itself is said to be stopped");
});

scene("a stop of the very first answer is told in another browser too", async (set) => {
  await fake.script("Only a piece", reply(text("Half "), gate("half"), text("rest.")));
  const chatId = await reader.startChat("Only a piece");
  await reader.log.getByText("Half", { exact: true }).waitFor();
  await reader.stopButton.click();
  await reader.log.getByText(STOPPED).waitFor();
  const elsewhere = await set.visitor({ session: { ...(await reader.session()), origins: [] } });
  await elsewhere.page.goto(`/chats/${chatId}`);
  await elsewhere.log.getByText(STOPPED).waitFor();
});

scene("a turn that is stopped before its first word says so everywhere", async (set) => {
  await fake.script("Say nothing", reply(gate("silence"), text("never")));
  const chatId = await reader.startChat("Say nothing");
  await reader.stopButton.click();
  await reader.log.getByText(UNANSWERED).waitFor();
  const elsewhere = await set.visitor({ session: { ...(await reader.session()), origins: [] } });
  await elsewhere.page.goto(`/chats/${chatId}`);
  await elsewhere.log.getByText(UNANSWERED).waitFor();
});

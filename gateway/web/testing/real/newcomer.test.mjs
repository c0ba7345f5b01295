// The first hour of somebody new: from the printed link to a chat on a phone, with the demo model and the real tools.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { stage } from "./stage.mjs";
import { essence, times, transcript, words } from "./transcript.mjs";
import { until } from "./until.mjs";

const PASSWORD = "correct horse battery";
const LAST_WORDS_OF_THE_STORY = "the log had one line more";

let someone;
const chats = {};
const scene = stage(async (set) => {
  someone = await set.visitor();
});

scene("the printed link signs the newcomer in as administrator, however late the page learns who they were before", async ({ tandem }) => {
  // Before the code is exchanged nobody is signed in, and the page may hear that afterwards.
  someone.tolerates(/401.*\/api\/v1\/users\/me/);
  await someone.hearsLate("/api/v1/users/me", "/api/v1/setup");
  await someone.useLink(await tandem.link());
  await someone.shoot("first-run-password");
  assert.equal((await someone.get("/api/v1/users/me")).username, "admin");
  assert.doesNotMatch(someone.page.url(), /code=/, "the code stays in the address");
});

scene("the password is set, and the three ways to a model are offered", async () => {
  await someone.choosePassword(PASSWORD);
  for (const way of [/Paste an API key/, /Use a server of your own/, /Try the demo model/]) {
    await someone.page.getByRole("button", { name: way }).waitFor();
  }
  await someone.shoot("first-run-model");
});

scene("the demo model is one click away and is chosen for the first chat", async () => {
  await someone.chooseDemo();
  await someone.page.getByRole("button", { name: "Model: Demo (scripted)" }).waitFor();
  await someone.shoot("first-chat");
});

scene("the answer to a message streams: its text grows while the agent works", async () => {
  chats.story = await someone.startChat("Write a long story");
  let length = 0;
  for (let looks = 0; looks < 4; looks += 1) length = await someone.growsBeyond(length + 100);
  await someone.shoot("streaming");
  assert.equal(times(await someone.conversation(), LAST_WORDS_OF_THE_STORY), 0, "the whole answer came at once");
});

scene("stop in the middle of a long answer ends it there and keeps what was written", async () => {
  await someone.log.getByText("Night 2", { exact: true }).waitFor();
  await someone.stopButton.click();
  await someone.answered();
  const [asked, answered, ...more] = await transcript(someone, chats.story);
  assert.equal(asked, "user: Write a long story");
  assert.match(answered, /^assistant: # The lighthouse/);
  assert.match(answered, /## Night 2/);
  assert.equal(times(answered, LAST_WORDS_OF_THE_STORY), 0, "the answer was finished all the same");
  assert.deepEqual(more, []);
  const shown = await someone.conversation();
  assert.equal(times(essence(shown), essence(words(answered))), 1, "the page does not show what was stored");
  await someone.shoot("stopped");
  await someone.page.reload();
  await someone.answered();
  assert.match(shown, /You stopped the agent here/);
  assert.equal((await someone.conversation()).trimEnd(), shown.trimEnd());
});

scene("the agent writes a file, runs it and edits it, and the cards show output and difference", async ({ tandem }) => {
  chats.tools = await someone.startChat("Create hello.py with \"print('hello')\" and run it. Then replace hello with goodbye in hello.py");
  await someone.answered();
  chats.shown = await someone.conversation();
  await someone.card(/^Wrote .*hello\.py$/).waitFor();
  const ran = someone.card(/^Ran python3 hello\.py$/);
  await ran.getByRole("button").first().click();
  assert.equal((await ran.getByLabel("Output").innerText()).trim(), "hello");
  const changes = await someone.card(/^Edited .*hello\.py$/).getByRole("region", { name: /^Changes in / }).innerText();
  assert.match(changes, /print\('hello'\)[^]*print\('goodbye'\)/);
  await someone.shoot("tool-cards");
  assert.equal(await readFile(await tandem.fileInWorkspaces("hello.py"), "utf8"), "print('goodbye')\n");
});

scene("a reload shows the same conversation", async () => {
  await someone.page.reload();
  await someone.answered();
  assert.match(chats.shown, /hello\.py/);
  assert.equal(await someone.conversation(), chats.shown);
});

scene("a message sent while the agent is busy waits, and is answered after the stop", async () => {
  chats.queue = await someone.startChat("count to 2000");
  await someone.growsBeyond(40);
  await someone.say("run `echo it was my turn`");
  await someone.waiting.getByText("echo it was my turn").waitFor();
  await someone.shoot("queued");
  await someone.stopButton.click();
  await someone.card("Ran echo it was my turn").waitFor();
  await someone.waiting.waitFor({ state: "detached" });
  await someone.answered();
  const lines = await transcript(someone, chats.queue);
  assert.deepEqual(lines.map((line) => line.slice(0, line.indexOf(":"))), ["user", "assistant", "user", "assistant", "tool", "assistant"]);
  assert.equal(lines[2], "user: run `echo it was my turn`");
  assert.match(lines[5], /it was my turn/);
});

scene("dark mode is chosen in the menu and stays after a reload", async () => {
  await someone.page.goto(`/chats/${chats.tools}`);
  await someone.answered();
  const brightness = () => someone.page.evaluate(() => {
    const [red, green, blue] = getComputedStyle(document.querySelector("main")).backgroundColor.match(/\d+/g).map(Number);
    return (red + green + blue) / 3;
  });
  assert.ok((await brightness()) > 200, "light by default where the system is light");
  await someone.page.getByRole("button", { name: "Administrator", exact: true }).click();
  await someone.page.getByRole("menuitemradio", { name: "Dark" }).click();
  await someone.page.locator(":root[data-theme=dark]").waitFor();
  await until("the page is dark", async () => (await brightness()) < 60);
  await someone.shoot("dark");
  await someone.page.reload();
  await someone.answered();
  assert.ok((await brightness()) < 60, "the choice is forgotten");
});

scene("at 380 pixels nothing needs scrolling sideways, and a chat can be had by touch", async (set) => {
  const phone = await set.visitor({ phone: true, session: await someone.session() });
  for (const [address, shown] of [
    ["/", phone.page.getByRole("heading", { name: "What shall we do?" })],
    [`/chats/${chats.tools}`, phone.card(/^Edited .*hello\.py$/)],
    [`/chats/${chats.story}`, phone.log],
    ["/settings/models", phone.page.getByRole("heading", { name: "Providers" })],
    ["/settings/tokens", phone.page.getByRole("button", { name: "Create" })],
  ]) {
    await phone.page.goto(address);
    await shown.waitFor();
    assert.deepEqual(await phone.tooWide(), [], `${address} is too wide`);
    await phone.shoot(`phone${address.replace(chats.tools, "tools").replace(chats.story, "story").replaceAll("/", "-")}`);
  }
  await phone.startChat("run `echo from the phone`");
  await phone.card("Ran echo from the phone").waitFor();
  await phone.answered();
  assert.deepEqual(await phone.tooWide(), [], "the new chat is too wide");
  await phone.page.getByRole("button", { name: "Show chats" }).click();
  await phone.page.getByRole("navigation", { name: "Chats" }).getByRole("link", { name: /echo from the phone/ }).waitFor();
  await phone.shoot("phone-list");
});

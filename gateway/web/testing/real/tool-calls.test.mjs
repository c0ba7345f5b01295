// What only a scripted model does on cue: three tool calls in one step, a pause while the next message is written, a refused key.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FakeLlm, call, gate, reply, text } from "./fake-llm.mjs";
import { useFake } from "./prepare.mjs";
import { stage } from "./stage.mjs";
import { transcript } from "./transcript.mjs";

let reader;
let fake;
const scene = stage(async (set) => {
  fake = set.with(await FakeLlm.start());
  reader = await set.visitor();
  await useFake(reader, await set.tandem.link(), fake);
});

scene("three tool calls in one step run at once, show their output live, and their results reach the model", async ({ tandem }) => {
  // The first can only end because the third runs beside it, and the third when the test lets it.
  const commands = [
    "echo first; until [ -e three ]; do sleep 0.05; done; echo first is done",
    "echo second; exit 3",
    "echo third; touch one; until [ -e go ]; do sleep 0.05; done; touch three",
  ];
  await fake.script("Look around", reply(text("I look at three things."), ...commands.map((command) => call("execute", { command }))), reply(text("All three are back.")));
  const chatId = await reader.startChat("Look around");
  await reader.card(/^Running echo third/).getByLabel("Output").getByText("third").waitFor();
  await reader.card(/^Ran echo second/).getByText("exit 3", { exact: true }).waitFor();
  await reader.page.getByText("Running 2 tools").waitFor();
  await reader.shoot("three-tool-calls-running");
  await writeFile(join(dirname(await tandem.fileInWorkspaces("one")), "go"), "");
  await reader.answered(chatId);
  await reader.shoot("three-tool-calls");
  const first = reader.card(/^Ran echo first/);
  await first.getByRole("button").first().click();
  assert.equal((await first.getByLabel("Output").innerText()).trim(), "first\nfirst is done");
  assert.deepEqual(await transcript(reader, chatId), [
    "user: Look around",
    "assistant: I look at three things. [tool-call execute] [tool-call execute] [tool-call execute]",
    "tool: [tool-result execute]",
    "tool: [tool-result execute]",
    "tool: [tool-result execute]",
    "assistant: All three are back.",
  ]);
  const told = (await fake.completions()).at(-1).body.messages.filter((message) => message.role === "tool").map((message) => JSON.parse(message.content).exit_code);
  assert.deepEqual(told, [0, 3, 0]);
});

scene("a message sent while the agent writes waits at the composer, and is answered when the turn is over", async () => {
  await fake.script("Take your time", reply(text("I am"), gate("time"), text(" done now.")));
  const chatId = await reader.startChat("Take your time");
  await reader.log.getByText("I am", { exact: true }).waitFor();
  await reader.say("And after that?");
  await reader.waiting.getByText("And after that?").waitFor();
  await fake.open("time");
  await reader.log.getByText("You said: And after that?").waitFor();
  await reader.waiting.waitFor({ state: "detached" });
  await reader.answered(chatId);
  assert.deepEqual(await transcript(reader, chatId), ["user: Take your time", "assistant: I am done now.", "user: And after that?", "assistant: You said: And after that?"]);
});

scene("a provider that refuses the key is told in plain words, and trying again with a valid one goes on", async () => {
  await fake.setKey("revoked");
  const chatId = await reader.startChat("Is anybody there?");
  await reader.page.getByRole("alert").getByText(/API key/).first().waitFor();
  await reader.shoot("refused-key");
  await fake.setKey("valid");
  await reader.page.getByRole("button", { name: /^(Try again|Retry)$/ }).click();
  await reader.log.getByText("You said: Is anybody there?").waitFor();
  await reader.answered(chatId);
  assert.deepEqual(await transcript(reader, chatId), ["user: Is anybody there?", "assistant: You said: Is anybody there?"]);
});

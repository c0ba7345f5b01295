// Titles in a real browser: suggested by a model, named anew, taken back, written by hand, and what is said when no model can help.
import assert from "node:assert/strict";
import { FakeLlm, gate, reply, text } from "./fake-llm.mjs";
import { useFake } from "./prepare.mjs";
import { stage } from "./stage.mjs";
import { until } from "./until.mjs";

/** Words only the question for a title has. */
const TITLE_CUE = "Say the title only";
const FIRST = "What does a lighthouse keeper do at night?";

let reader;
let fake;
let chatId;
const scene = stage(async (set) => {
  fake = set.with(await FakeLlm.start());
  reader = await set.visitor();
  await useFake(reader, await set.tandem.link(), fake);
  chatId = await reader.startChat(FIRST);
  await reader.answered(chatId);
});

const head = () => reader.page.locator("main h1");
const field = () => reader.page.getByLabel("Title", { exact: true });
const row = () => reader.page.getByRole("navigation", { name: "Chats" }).getByRole("link");
const stored = async () => (await reader.get(`/api/v1/chats/${chatId}`)).title;
const suggest = () => reader.page.getByRole("button", { name: "Suggest a title" }).click();
const nameAnew = async () => {
  await reader.page.getByRole("button", { name: "More", exact: true }).click();
  await reader.page.getByRole("menuitem", { name: "Name it anew" }).click();
};
/** Everywhere it is shown, and on the server. */
async function isCalled(title) {
  await until(`the server calls it ${title}`, async () => (await stored()) === title);
  await head().getByText(title, { exact: true }).waitFor();
  await row().getByText(title, { exact: true }).waitFor();
  await until("the tab has the title", async () => (await reader.page.title()).includes(title));
}

scene("a suggestion comes into the field, and is the title once it is saved", async () => {
  await fake.script(TITLE_CUE, reply(text("Nights of a keeper")));
  const before = await stored();
  await head().getByRole("button").click();
  await suggest();
  await until("the suggestion is in the field", async () => (await field().inputValue()) === "Nights of a keeper");
  assert.equal(await stored(), before, "it was stored before anybody said so");
  await reader.shoot("title-suggested");
  await field().press("Enter");
  await isCalled("Nights of a keeper");
});

scene("a suggestion that is given up changes nothing", async () => {
  await fake.script(TITLE_CUE, reply(text("Something else")));
  await head().getByRole("button").click();
  await suggest();
  await until("the suggestion is in the field", async () => (await field().inputValue()) === "Something else");
  await field().press("Escape");
  await isCalled("Nights of a keeper");
});

scene("what is typed while a model thinks stays", async () => {
  await fake.script(TITLE_CUE, reply(gate("thinking"), text("Too late")));
  await head().getByRole("button").click();
  const proposed = reader.page.waitForResponse((answer) => answer.url().endsWith("/title/propose"));
  await suggest();
  await field().fill("My lighthouse");
  await fake.open("thinking");
  await proposed;
  await field().press("Enter");
  await isCalled("My lighthouse");
});

scene("named anew it says so and can be taken back, and a reload shows the same", async () => {
  await fake.script(TITLE_CUE, reply(text("Lighthouse keeping")));
  await nameAnew();
  await reader.page.getByText("Now called “Lighthouse keeping”").waitFor();
  await isCalled("Lighthouse keeping");
  await reader.shoot("title-named-anew");
  await reader.page.getByRole("button", { name: "Undo" }).click();
  await isCalled("My lighthouse");
  await reader.page.reload();
  await isCalled("My lighthouse");
});

scene("when the provider refuses, the reason is told and the title stays", async () => {
  reader.expects(/^\d+ POST .*\/title\/regenerate/);
  reader.tolerates(/status of \d+.*\/title\/regenerate/);
  await fake.setKey("revoked");
  await nameAnew();
  const told = reader.page.locator("[aria-live=polite] .text-danger");
  await told.waitFor();
  assert.notEqual((await told.innerText()).trim(), "");
  await reader.shoot("title-refused");
  await isCalled("My lighthouse");
  await fake.setKey("valid");
});

scene("renamed in the list by keyboard", async () => {
  await row().first().focus();
  await reader.page.keyboard.press("F2");
  await field().fill("The *keeper* of `light`");
  await field().press("Enter");
  await head().getByText("The keeper of light").waitFor();
  // The page shows it before the server has it.
  await until("the server has the name", async () => (await stored()) === "The *keeper* of `light`");
});

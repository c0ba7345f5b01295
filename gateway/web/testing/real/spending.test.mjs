// Money in a real browser: prices give a cost, a limit refuses with its reason, and raising it lets the same text through.
import assert from "node:assert/strict";
import { call, FakeLlm, MODEL, reply, text } from "./fake-llm.mjs";
import { useFake } from "./prepare.mjs";
import { stage } from "./stage.mjs";
import { until } from "./until.mjs";

let admin;
let fake;
const scene = stage(async (set) => {
  fake = set.with(await FakeLlm.start());
  admin = await set.visitor();
  await useFake(admin, await set.tandem.link(), fake);
  // Whether there are limits at all is remembered for a while; how high they are is not.
  await limit(HIGH);
});

const HIGH = 1_000_000_000;
const limit = (micros) => admin.put("/api/v1/chats/usage-limits", { spend_limit_micros: micros, period: "month" });

const settings = async (tab) => {
  await admin.page.goto("/settings");
  await admin.page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name: tab }).click();
};
const summary = () => admin.get("/api/v1/chats/cost/me/summary");

scene("prices are set in the model's fields", async () => {
  await settings("Models");
  await admin.page.getByRole("link", { name: new RegExp(`^${MODEL}.*no prices`) }).click();
  await admin.page.getByLabel("Input", { exact: true }).fill("1000");
  await admin.page.getByLabel("Output", { exact: true }).fill("2000");
  await admin.page.getByLabel("Summarize at").fill("80");
  await admin.page.getByRole("button", { name: "Save", exact: true }).click();
  await admin.page.getByText("Saved", { exact: true }).waitFor();
  const [model] = await admin.get("/api/v1/chats/model-configs");
  assert.equal(model.compression_threshold, 80);
  assert.deepEqual(model.model_config.cost, { input_price_per_million_tokens: "1000", output_price_per_million_tokens: "2000" });
  await admin.page.reload();
  await until("the price stands there after a reload", async () => (await admin.page.getByLabel("Input", { exact: true }).inputValue()) === "1000");
});

scene("the provider is tested with its stored key, and a key that is refused is not kept", async () => {
  await settings("Models");
  await admin.page.getByRole("region", { name: "Providers" }).getByRole("link", { name: /^Fake/ }).click();
  await admin.page.getByRole("button", { name: "Test now" }).click();
  await admin.page.getByText("It works").waitFor();
  await admin.page.getByRole("region", { name: "Keys" }).getByRole("button", { name: "Add" }).click();
  await admin.page.getByLabel("New key").fill("not-the-key");
  await admin.page.getByRole("button", { name: "Test and add" }).click();
  await admin.page.getByText("That did not work").waitFor();
  await admin.shoot("key-refused");
  const [provider] = await admin.get("/api/v1/ai/providers");
  assert.equal(provider.api_keys.length, 1);
});

scene("an answer costs what the prices say, and its cost is shown", async () => {
  const chatId = await admin.startChat("How much is this?");
  await admin.answered(chatId);
  const cost = await until("the answer is counted", async () => (await summary()).total_cost_micros);
  assert.ok(cost > 0);
  await settings("Your usage");
  await admin.page.getByRole("meter").waitFor();
  await admin.page.getByRole("table", { name: "Cost by model" }).getByRole("rowheader", { name: new RegExp(MODEL) }).waitFor();
  await admin.page.getByRole("table", { name: "Cost by chat" }).getByRole("link", { name: "How much is this?" }).waitFor();
  await admin.page.getByRole("img", { name: /Cost by day/ }).waitFor();
  await admin.shoot("usage");
});

scene("a turn that reaches the limit on its way ends there, and says whose limit it is", async () => {
  const { total_cost_micros: spent } = await summary();
  await limit(spent + 1);
  await fake.script("Look, then tell", reply(call("execute", { command: "echo looked" })), reply(text("never said")));
  const asked = (await fake.completions()).length;
  await admin.startChat("Look, then tell");
  await admin.page.getByText("Your spending limit is reached", { exact: true }).waitFor();
  await admin.card(/^Ran echo looked/).waitFor();
  await admin.shoot("limit-in-mid-turn");
  assert.equal((await fake.completions()).length, asked + 1, "the model was asked once more");
  await admin.page.getByRole("link", { name: "See your usage" }).click();
  await admin.page.getByText("Your limit is reached").waitFor();
});

scene("a limit that is reached refuses a message, says until when, and keeps the text", async () => {
  await settings("Spend and limits");
  await admin.page.getByRole("rowheader", { name: /Administrator/ }).waitFor();
  await admin.page.getByLabel("US dollars per person").fill("0.000001");
  await admin.page.getByRole("button", { name: "Save", exact: true }).click();
  await admin.page.getByText("The limit holds from now on").waitFor();
  await admin.shoot("spend");
  await Promise.all([admin.page.waitForResponse((answer) => answer.url().endsWith("/organizations")), admin.page.goto("/")]);
  admin.expects(/^409 POST \/api\/v1\/chats/);
  admin.tolerates(/status of 409/);
  await admin.composer.fill("Once more");
  await admin.page.getByRole("button", { name: "Send", exact: true }).click();
  await admin.page.getByText("Your spending limit is reached. Your text is still here.").waitFor();
  await admin.page.getByText(/The next period begins in \d+ (?:min|h|days)/).waitFor();
  assert.equal(await admin.composer.inputValue(), "Once more");
  await admin.shoot("refused");
});

scene("with a limit of their own that is higher the same text goes through", async () => {
  await settings("Spend and limits");
  const section = admin.page.getByRole("region", { name: "Exceptions" });
  await section.getByRole("button", { name: "Add" }).click();
  await admin.page.getByLabel("US dollars in each month").fill("1000");
  await admin.page.getByRole("dialog").getByRole("button", { name: "Set limit" }).click();
  await section.getByText("$1,000.00").waitFor();
  await settings("Your usage");
  await admin.page.getByRole("meter").waitFor();
  await admin.page.goto("/");
  await until("the text is still in the field", async () => (await admin.composer.inputValue()) === "Once more");
  await admin.page.getByRole("button", { name: "Send", exact: true }).click();
  await admin.page.waitForURL(/\/chats\/[^/]+$/);
  await admin.answered();
});

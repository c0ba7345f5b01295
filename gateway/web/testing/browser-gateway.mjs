// Checks in a real browser against the stub server of what lies behind the models: health and order of keys, whose keys are used,
// fallbacks, limits of organizations, and the AI gateway with its records. Usage: node testing/browser-gateway.mjs
import { ask, check, end, expect, idle } from "./check.mjs";

const get = async (page, path) => (await page.request.get(`/api/v1${path}`)).json();
const providerNamed = async (page, name) => (await get(page, "/ai/providers")).find((provider) => provider.name === name);
const saved = (page) => page.getByText("Saved", { exact: true }).waitFor();
const until = async (what, truth) => {
  for (let tries = 0; tries < 50; tries += 1) {
    if (await truth()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} never came true`);
};
const openAnthropic = async (page) => {
  await page.goto("/settings/models");
  await page.getByRole("link", { name: /^Anthropic/ }).click();
};

await check("what programs sign in to themselves is connected without a key, lacks none, and says where programs find it", { PROVIDERS: "1" }, async (page) => {
  await page.goto("/settings/models");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("button", { name: /^Let programs bring a sign-in/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Connect", exact: true }).click();
  const row = page.getByRole("link", { name: /^ChatGPT subscription/ });
  await row.waitFor();
  expect(!/No key|Healthy/.test(await row.innerText()), "it is said to lack a key, or to do well");
  await row.click();
  await page.getByText(/\/api\/v2\/aibridge\/chatgpt\/v1$/).waitFor();
  expect((await page.getByRole("region", { name: "Keys" }).count()) === 0, "it is offered keys");
});

await check("each provider says in words how it does and why", { PROVIDERS: "1", TROUBLE: "1" }, async (page) => {
  await page.goto("/settings/models");
  await page.getByText("Degraded: 2 of 3 keys rest · claude-haiku-4-5 is paused · claude-opus-4-1 is being tried again · 8 of 8 running, 2 waiting").waitFor();
  await page.getByText("Failing: its only key is refused").waitFor();
  const off = page.getByRole("link", { name: /^Workshop server/ });
  expect(!/Healthy|Degraded|Failing/.test(await off.innerText()), "a provider that is off says how it does");
  await page.getByRole("link", { name: /^Anthropic/ }).click();
  const section = page.getByRole("region", { name: "Keys" });
  await section.getByText(/^rests until .+: its rate is limited by the vendor$/).waitFor();
  await section.getByText("Number of request tokens has exceeded").waitFor();
  await section.getByText(/^rests until .+, refused by the vendor: invalid x-api-key$/).waitFor();
  await section.getByText(/^Last trouble 1h ago: Overloaded$/).waitFor();
  await page.getByText(/^paused, tried again at .+ \(5 failures in a row, status 529\)$/).waitFor();
});

await check("health is asked for every 10 seconds, and not at all while nobody can see the page", { PROVIDERS: "1" }, async (page) => {
  const asked = async () => (await get(page, "/stub/health-asked")).times;
  const setVisible = (isVisible) =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isVisible ? "visible" : "hidden");
  await page.clock.install();
  await page.goto("/settings/models");
  await page.getByText("Healthy").first().waitFor();
  const first = await asked();
  await page.clock.runFor(10_100);
  await until("asking again", async () => (await asked()) === first + 1);
  await setVisible(false);
  await page.clock.runFor(60_000);
  expect((await asked()) === first + 1, `asked ${await asked()} times although nobody could see it`);
  await setVisible(true);
  await page.clock.runFor(10_100);
  await until("asking after the return", async () => (await asked()) > first + 1);
});

await check("a server that knows no health is not asked again, and nothing is shown in its place", { PROVIDERS: "1", OLD: "1" }, async (page) => {
  let asked = 0;
  page.on("request", (request) => void (asked += Number(request.url().endsWith("/ai/providers/health"))));
  await page.clock.install();
  await page.goto("/settings/models");
  await page.getByText("Workshop server").waitFor();
  await page.clock.runFor(60_000);
  expect(asked === 1, `asked ${asked} times`);
  expect((await page.getByText(/Healthy|Degraded|Failing/).count()) === 0, "it says how providers do");
});

await check("health that is no longer told is not shown as if it were", { PROVIDERS: "1" }, async (page) => {
  let isBroken = false;
  await page.route("**/ai/providers/health", (route) => (isBroken ? route.fulfill({ status: 503, json: { message: "The provider gateway is away." } }) : route.continue()));
  await openAnthropic(page);
  await page.getByText("nothing under way").waitFor();
  isBroken = true;
  await page.getByText("How it does cannot be told at the moment: The provider gateway is away.").waitFor({ timeout: 25_000 });
  expect((await page.getByText(/^healthy$/i).count()) === 0, "keys are still called healthy");
  isBroken = false;
  await page.getByText("nothing under way").waitFor({ timeout: 25_000 });
});

await check("the order of keys is changed and kept", { PROVIDERS: "1" }, async (page) => {
  await openAnthropic(page);
  const section = page.getByRole("region", { name: "Keys" });
  expect(await section.getByRole("button", { name: "Use sk-…a1b2 earlier" }).isDisabled(), "the first can be moved up");
  await section.getByRole("button", { name: "Use sk-…a1b2 later" }).click();
  await until("the order", async () => (await providerNamed(page, "anthropic")).api_keys.map(({ masked }) => masked).join() === "sk-…c3d4,sk-…a1b2");
  await page.reload();
  await section.getByText("sk-…c3d4").waitFor();
  expect((await section.locator("code").allInnerTexts()).join() === "sk-…c3d4,sk-…a1b2", "it is shown in another order");
});

await check("users may bring their own key once a provider allows it, and only then is there a page for it", { PROVIDERS: "1" }, async (page) => {
  await openAnthropic(page);
  const nav = page.getByRole("navigation", { name: "Settings" });
  await page.getByText("Everybody uses the keys above.").waitFor();
  expect((await nav.getByText("My keys").count()) === 0, "there is a page for keys that nobody takes");
  expect(await page.getByRole("switch", { name: "Use the keys above" }).isDisabled(), "the last source of keys can be taken away");
  await page.getByRole("switch", { name: "Users may bring their own key" }).click();
  await page.getByRole("switch", { name: "Who brings none uses the keys above" }).click();
  await page.getByText("everybody else the keys above").waitFor();
  await page.getByLabel("Answers at once").fill("10001");
  await page.getByText("A whole number up to 10,000").waitFor();
  await page.getByLabel("Answers at once").fill("8");
  await page.getByRole("button", { name: "Save" }).first().click();
  await until("the most at once", async () => (await providerNamed(page, "anthropic")).max_concurrent === 8);
  const made = await providerNamed(page, "anthropic");
  expect(made.allow_user_api_key && made.allow_central_api_key_fallback && made.central_api_key_enabled, JSON.stringify(made));
  await nav.getByRole("link", { name: "My keys" }).click();
  await page.getByText("Without one of yours, the key of this Tandem answers for you.").waitFor();
});

await check("a key of one's own is set, replaced and removed by somebody who is no administrator", { PROVIDERS: "1", OWN_KEYS: "1", MEMBER: "1" }, async (page) => {
  await page.goto("/settings/keys");
  const own = async () => (await get(page, "/users/me/ai-provider-keys")).find(({ provider }) => provider.name === "openai");
  await page.getByText("Its models answer you only with a key of your own.").waitFor();
  const put = async (button, key) => {
    await page.getByRole("button", { name: `${button} your key for OpenAI` }).click();
    await page.getByLabel("API key").fill(`  ${key} `);
    await page.getByRole("button", { name: `${button} key` }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
  };
  await put("Set", "sk-mine-1111");
  await page.getByText("sk-…1111").waitFor();
  await put("Replace", "sk-mine-2222");
  await page.getByText("sk-…2222").waitFor();
  expect((await own()).masked === "sk-…2222", JSON.stringify(await own()));
  await page.getByRole("button", { name: "Remove your key for OpenAI" }).click();
  await page.getByRole("button", { name: "Remove key" }).click();
  await page.getByRole("button", { name: "Set your key for OpenAI" }).waitFor();
  expect(!(await own()).has_user_api_key, "the key is still there");
});

await check("models to fall back to are chosen, ordered and taken out again", { PROVIDERS: "1" }, async (page) => {
  const models = await get(page, "/chats/model-configs");
  const idOf = (name) => models.find((model) => model.model === name).id;
  await page.request.patch(`/api/v1/chats/model-configs/${idOf("gpt-5")}`, { data: { enabled: true } });
  const stored = async () => (await get(page, "/chats/model-configs")).find((model) => model.model === "claude-sonnet-4-5").model_config.fallbacks;
  await page.goto("/settings/models");
  await page.getByRole("link", { name: /^Claude Sonnet/ }).click();
  await page.getByLabel("Model to ask instead").selectOption(idOf("demo"));
  await page.getByLabel("And then").selectOption(idOf("gpt-5"));
  await page.getByRole("button", { name: "Ask gpt-5 earlier" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await saved(page);
  expect((await stored()).join() === [idOf("gpt-5"), idOf("demo")].join(), JSON.stringify(await stored()));
  await page.reload();
  const list = page.getByRole("list", { name: "Fallbacks" });
  await list.getByText("gpt-5").waitFor();
  for (const name of ["gpt-5", "Demo (scripted)"]) await page.getByRole("button", { name: `Do not ask ${name}` }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await until("no fallbacks", async () => (await stored()) === undefined);
});

await check("an answer of another model says so, and the answers of the chosen one say nothing", { PROVIDERS: "1", SPEED: "8" }, async (page) => {
  await page.goto("/");
  await ask(page, "Who will stand in?");
  await idle(page);
  await page.getByText("Demo (scripted) answered in place of Claude Sonnet 4.5.").waitFor();
  await page.reload();
  await page.getByText("Demo (scripted) answered in place of Claude Sonnet 4.5.").waitFor();
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  expect((await page.getByText("answered in place of").count()) === 0, "it says that another model answered");
});

await check("the limit of an organization is set, changed, removed and had back", { SEED: "1", LIMIT: "1" }, async (page) => {
  const groups = async () => (await get(page, "/chats/usage-limits")).group_overrides.map((group) => [group.group_name, group.spend_limit_micros]).flat().join();
  await page.goto("/settings/spend");
  const section = page.getByRole("region", { name: "Organizations" });
  await section.getByRole("button", { name: "Add" }).click();
  await page.getByLabel("Organization", { exact: true }).selectOption({ label: "The lab" });
  await page.getByLabel("US dollars in each month").fill("40");
  await page.getByRole("dialog").getByRole("button", { name: "Set limit" }).click();
  await section.getByText("$40.00").waitFor();
  await section.getByRole("button", { name: "Change the limit of The lab" }).click();
  expect((await page.getByLabel("US dollars in each month").inputValue()) === "40", "the form forgets the limit");
  await page.getByLabel("US dollars in each month").fill("7,50");
  await page.getByRole("dialog").getByRole("button", { name: "Set limit" }).click();
  await section.getByText("$7.50").waitFor();
  await section.getByRole("button", { name: "Remove the limit of The lab" }).click();
  await section.getByText("None. Members have the limit for everyone.").waitFor();
  expect((await groups()) === "", await groups());
  await page.getByRole("button", { name: "Undo" }).click();
  await section.getByText("$7.50").waitFor();
  expect((await groups()) === "lab,7500000", await groups());
});

await check("a program is told where and how to connect, for each protocol and with the chosen model", { PROVIDERS: "1" }, async (page) => {
  await page.goto("/settings/gateway");
  const { origin } = new URL(page.url());
  await page.getByText(`${origin}/openai/v1`, { exact: true }).waitFor();
  await page.getByText(`${origin}/anthropic`, { exact: true }).waitFor();
  const code = page.locator("pre");
  const shows = (text) => until(`"${text}" in the snippet`, async () => (await code.innerText()).includes(text));
  await shows(`curl ${origin}/openai/v1/chat/completions`);
  await page.getByRole("radio", { name: "Anthropic" }).click();
  await shows("/anthropic/v1/messages");
  await page.getByLabel("Model", { exact: true }).first().selectOption("demo");
  await shows('"model": "demo"');
  await page.getByRole("radio", { name: "Codex" }).click();
  await shows(`base_url = "${origin}/openai/v1"`);
  await page.getByRole("radio", { name: "Claude Code" }).click();
  await shows(`ANTHROPIC_BASE_URL=${origin}/anthropic`);
  await page.getByText("No program has asked anything yet").waitFor();
  await page.getByRole("link", { name: "Create a token" }).click();
  await page.getByText("For programs").waitFor();
});

await check("sessions are filtered, turned over and opened, those of others too", { PROVIDERS: "1", BRIDGE: "1" }, async (page) => {
  await page.goto("/settings/gateway");
  const list = page.getByRole("list", { name: "Sessions" });
  await page.getByText("1–25 of 30").waitFor();
  await page.getByRole("button", { name: "Older" }).click();
  await page.getByText("26–30 of 30").waitFor();
  await page.getByLabel("Client").selectOption("Claude Code");
  await list.getByText("Here is what I want.").waitFor();
  expect((await list.getByRole("listitem").count()) === 2, "the client does not filter");
  await page.getByLabel("Started").selectOption({ label: "Last hour" });
  await until("one session", async () => (await list.getByRole("listitem").count()) === 1);
  await page.getByLabel("Provider").selectOption("workshop");
  await page.getByText("Nothing of this kind.").waitFor();
  await page.getByRole("button", { name: "Show everything" }).click();
  await list.getByRole("link", { name: /Here is what I want/ }).click();
  await page.getByText("Dana Okafor").waitFor();
  expect(page.url().includes("initiator="), "whose session it is, is not in the address");
  const threads = page.getByRole("list", { name: "Threads" });
  await page.getByRole("button", { name: "Show all of it" }).first().click();
  await page.getByRole("button", { name: "Show less" }).waitFor();
  expect((await threads.locator("> li").count()) === 50, "the first page is not one of 50");
  await page.getByRole("button", { name: "Later threads" }).click();
  await until("the next page", async () => (await threads.locator("> li").count()) === 100);
  await page.getByRole("link", { name: "AI gateway" }).first().click();
  await list.getByRole("link", { name: /pull request/ }).click();
  await page.reload();
  await page.getByText("Why does the nightly build fail since Tuesday?").waitFor();
  await page.getByText("open_pull_request").click();
  await page.getByText("The branch has no commits yet.").waitFor();
  await page.goto("/settings/gateway/nowhere");
  await page.getByText("There is no such session, or it is not yours to see.").waitFor();
});

await check("a member sees no filters for what only administrators know", { PROVIDERS: "1", BRIDGE: "1", MEMBER: "1" }, async (page) => {
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto("/settings/gateway");
  await page.getByLabel("Client").waitFor();
  await page.getByText("pull request").waitFor();
  expect((await page.getByLabel("User").count()) + (await page.getByLabel("Provider").count()) === 0, "there are filters for administrators");
  expect(!asked.some((path) => /\/users$|\/ai\/providers$/.test(path)), asked.join());
});
await end();

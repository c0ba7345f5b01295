// Checks of administration in a real browser against the stub server: providers, keys, models and their prices, limits and spending,
// titles, and what the page says when the server is cut off. Usage: node testing/browser-admin.mjs (needs dist/ and Chromium)
import { createRequire } from "node:module";
import { ask, check, composer, end, expect, idle } from "./check.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PHONE = { viewport: { width: 380, height: 800 }, hasTouch: true };
/** The least height of what is hit with a finger, in pixels. */
const FINGER_PX = 44;

const get = async (page, path) => (await page.request.get(`/api/v1${path}`)).json();
const modelNamed = async (page, name) => (await get(page, "/chats/model-configs")).find((model) => model.model === name);
const providerNamed = async (page, name) => (await get(page, "/ai/providers")).find((provider) => provider.name === name);
const saved = (page) => page.getByText("Saved", { exact: true }).waitFor();

await check("prices, limits and options of a model are set in fields, and what has no field stays", { PROVIDERS: "1" }, async (page) => {
  await page.goto("/settings/models");
  await page.getByRole("link", { name: /^Claude Sonnet/ }).click();
  await page.getByLabel("Output", { exact: true }).fill("12,5");
  await page.getByLabel("Cache write").fill("");
  await page.getByLabel("Summarize at").fill("60");
  await page.getByLabel("Temperature").fill("9");
  await page.getByText("At most 2.").waitFor();
  expect(await page.getByRole("button", { name: "Save", exact: true }).isDisabled(), "a value that cannot be is saved");
  await page.getByLabel("Temperature").fill("0.4");
  await page.getByLabel("Effort").selectOption("max");
  await page.getByText("All options as JSON").click();
  const json = page.getByLabel("Options", { exact: true });
  expect(JSON.parse(await json.inputValue()).temperature === 0.4, "the JSON does not follow the fields");
  await json.fill((await json.inputValue()).replace('"temperature": 0.4', '"temperature": 0.7, "odd": [1]'));
  expect((await page.getByLabel("Temperature").inputValue()) === "0.7", "the fields do not follow the JSON");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await saved(page);
  const { compression_threshold, model_config } = await modelNamed(page, "claude-sonnet-4-5");
  const wanted = { cost: { input_price_per_million_tokens: "3", output_price_per_million_tokens: 12.5, cache_read_price_per_million_tokens: "0.3" }, provider_options: { anthropic: { effort: "max" } }, temperature: 0.7, odd: [1] };
  expect(compression_threshold === 60 && JSON.stringify(model_config) === JSON.stringify(wanted), JSON.stringify(model_config));
  expect((await page.getByText("Not saved yet").count()) === 0, "it still says that something is not saved");
});

await check("a provider is tested, switched and given keys, one of which is removed", { PROVIDERS: "1" }, async (page) => {
  await page.goto("/settings/models");
  await page.getByRole("link", { name: /^OpenAI/ }).click();
  await page.getByText("It answers nobody without one.").waitFor();
  const section = page.getByRole("region", { name: "Keys" });
  const add = async (key) => {
    await section.getByRole("button", { name: "Add" }).click();
    await page.getByLabel("New key").fill(key);
    await page.getByRole("button", { name: "Test and add" }).click();
  };
  await add("sk-bad-one");
  await page.getByText("Incorrect API key provided").waitFor();
  expect((await providerNamed(page, "openai")).api_keys.length === 0, "a key that does not work was stored");
  await page.getByLabel("New key").fill("sk-good-1111");
  await page.getByRole("button", { name: "Test and add" }).click();
  await section.getByText("sk-…1111").waitFor();
  await add("sk-good-2222");
  await section.getByText("sk-…2222").waitFor();
  await section.getByRole("button", { name: "Remove sk-…1111" }).click();
  await page.getByRole("button", { name: "Remove key" }).click();
  await section.locator("code", { hasText: "sk-…1111" }).waitFor({ state: "detached" });
  expect((await providerNamed(page, "openai")).api_keys.map(({ masked }) => masked).join() === "sk-…2222", "the wrong key is gone");
  await page.getByRole("button", { name: "Test now" }).click();
  await page.getByText("3 models · answered in 182 ms").waitFor();
  await page.getByRole("switch", { name: "In use" }).click();
  await page.getByRole("heading", { name: "OpenAI Off" }).waitFor();
  expect((await providerNamed(page, "openai")).enabled === false, "it is not switched off");
});

await check("a model is added from what the provider offers, priced, made the default, switched off, removed and had back as it was", { PROVIDERS: "1" }, async (page) => {
  await page.goto("/settings/models");
  await page.getByRole("link", { name: /^Anthropic/ }).click();
  await page.getByRole("region", { name: "Models" }).getByRole("button", { name: "Add" }).click();
  await page.getByText("It offers 3").waitFor();
  await page.getByLabel("Model", { exact: true }).fill("gpt-4.1");
  expect((await page.getByLabel("Context (tokens)").inputValue()) === "1000000", "its context is not known by its name");
  await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  await page.getByRole("button", { name: "Set prices" }).click();
  await page.getByLabel("Input", { exact: true }).fill("2");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await saved(page);
  await page.getByRole("button", { name: "Make default" }).click();
  await page.getByRole("heading", { name: "gpt-4.1 Default" }).waitFor();
  await page.getByRole("switch", { name: "In use" }).click();
  await page.locator("[role=switch][aria-checked=false]").waitFor();
  const before = await modelNamed(page, "gpt-4.1");
  expect(before.is_default && !before.enabled && before.model_config.cost.input_price_per_million_tokens === 2, JSON.stringify(before));
  await page.getByRole("button", { name: "Remove gpt-4.1" }).click();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("link", { name: /^gpt-4\.1/ }).waitFor();
  const { id: _, ...after } = await modelNamed(page, "gpt-4.1");
  expect(Object.entries(after).every(([key, value]) => JSON.stringify(before[key]) === JSON.stringify(value)), JSON.stringify(after));
});

await check("a pasted key makes a provider of its own type, at the address the server knows", {}, async (page) => {
  for (const [key, type] of [["sk-ant-1234", "anthropic"], ["AIza1234", "google"], ["sk-or-1234", "openrouter"], ["sk-1234", "openai"]]) {
    await page.goto("/settings/models");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByRole("button", { name: /Paste an API key/ }).click();
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Test" }).click();
    await page.getByRole("button", { name: "Use this model" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const made = await providerNamed(page, type);
    expect(made?.type === type && made.base_url === "" && made.enabled, `${key}: ${JSON.stringify(made)}`);
  }
});

await check("the limit for everyone and for one person are set, changed and lifted", { SEED: "1" }, async (page) => {
  await page.goto("/settings/spend");
  await page.getByLabel("US dollars per person").fill("-3");
  await page.getByText("An amount above zero").waitFor();
  await page.getByLabel("US dollars per person").fill("2.50");
  await page.getByLabel("In each").selectOption("week");
  await page.getByRole("button", { name: "Set limit" }).click();
  await page.getByText("The limit holds from now on").waitFor();
  const section = page.getByRole("region", { name: "Exceptions" });
  await section.getByRole("button", { name: "Add" }).click();
  await page.getByLabel("US dollars in each week").fill("40");
  await page.getByRole("dialog").getByRole("button", { name: "Set limit" }).click();
  await section.getByText("$40.00").waitFor();
  const { spend_limit_micros, period, overrides } = await get(page, "/chats/usage-limits");
  expect(spend_limit_micros === 2_500_000 && period === "week" && overrides[0].spend_limit_micros === 40_000_000, JSON.stringify({ spend_limit_micros, period, overrides }));
  await section.getByRole("button", { name: "Remove the limit of admin" }).click();
  await page.getByText("admin has the limit of everyone again").waitFor();
  await page.getByRole("button", { name: "Lift the limit" }).click();
  await page.getByRole("button", { name: "Set limit" }).waitFor();
  expect((await get(page, "/chats/usage-limits")).spend_limit_micros === null, "the limit still holds");
  await page.getByRole("button", { name: "Undo" }).last().click();
  await page.getByRole("button", { name: "Lift the limit" }).waitFor();
});

await check("a send over the limit is refused with the reason and the end of the period, and the text stays", { SEED: "1", SPENT: "1" }, async (page) => {
  await page.goto("/");
  await composer(page).fill("One more thing");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("Your spending limit is reached. Your text is still here.").waitFor();
  await page.getByText(/\$2\.03 of \$2\.00 are spent\. The next period begins in \d+ (?:min|h|days)/).waitFor();
  expect((await composer(page).inputValue()) === "One more thing", "the text is gone");
  await page.getByRole("link", { name: "See your usage" }).click();
  await page.getByText("Your limit is reached").waitFor();
  expect((await page.getByRole("meter").getAttribute("aria-valuenow")) === "100", "the meter says something else");
});

await check("a server that does not count costs yet says so instead of failing", { OLD: "1" }, async (page) => {
  for (const path of ["/settings/usage", "/settings/spend"]) {
    await page.goto(path);
    await page.getByText("does not count costs yet").waitFor();
  }
});

await check("a title is suggested into its field, named anew with a way back, and a suggestion never overwrites what is typed", { SPEED: "8" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  const title = () => page.locator("main h1").innerText();
  await page.locator("main h1 button").click();
  await page.getByRole("button", { name: "Suggest a title" }).click();
  await page.waitForFunction(() => document.querySelector('input[aria-label="Title"]')?.value === "A proposed title");
  await page.keyboard.press("Escape");
  expect((await title()) === "Explain what you can do", "Escape has kept the suggestion");
  await page.locator("main h1 button").click();
  await page.getByRole("button", { name: "Suggest a title" }).click();
  await page.getByLabel("Title", { exact: true }).fill("My own words");
  await page.waitForResponse((answer) => answer.url().endsWith("/title/propose"));
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("main h1")?.textContent === "My own words");
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Name it anew" }).click();
  await page.getByText("Now called “A better title”").waitFor();
  expect((await title()) === "A better title", `the head says ${await title()}`);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.waitForFunction(() => document.querySelector("main h1")?.textContent === "My own words");
});

await check("a chat whose server is cut off from its agents is not called live, and goes on by itself", { SPEED: "4" }, async (page) => {
  await page.goto("/");
  await ask(page, "Run the slow build");
  await page.getByText("crate-02").waitFor({ timeout: 20_000 });
  await page.request.post("/api/v1/stub/upstream", { data: { lost: true } });
  await page.getByText("Not live", { exact: true }).waitFor({ timeout: 20_000 });
  expect((await page.getByText("Live", { exact: true }).count()) === 0, "it is called live all the same");
  await page.request.post("/api/v1/stub/upstream", { data: { lost: false } });
  await page.getByText("Live", { exact: true }).waitFor({ timeout: 20_000 });
});

const PAGES = [
  ["models and providers", async (page) => page.goto("/settings/models"), "Workshop server"],
  ["a provider", async (page) => page.getByRole("link", { name: /^Anthropic/ }).click(), "The first that works is used"],
  ["a model", async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Claude Sonnet/ }).click();
    await page.getByText("All options as JSON").click();
  }, "Prices and options together"],
  ["your usage", async (page) => page.goto("/settings/usage"), "When"],
  ["spend and limits", async (page) => page.goto("/settings/spend"), "Linus Weber"],
  ["keys of one's own", async (page) => page.goto("/settings/keys"), "Its models answer you only with"],
  ["the AI gateway", async (page) => page.goto("/settings/gateway"), "pull request"],
  ["a session of the AI gateway", async (page) => {
    await page.getByRole("link", { name: /pull request/ }).click();
    await page.getByText("search_docs").first().click();
  }, "Why does the nightly build fail"],
];
const EVERYTHING = { SEED: "1", PROVIDERS: "1", LIMIT: "1", TROUBLE: "1", OWN_KEYS: "1", BRIDGE: "1" };

await check("everything a finger must hit in administration is high enough, and no page is wider than a phone", EVERYTHING, async (page) => {
  for (const [where, open, text] of PAGES) {
    await open(page);
    await page.getByText(text, { exact: false }).first().waitFor();
    const small = await page.evaluate((least) => {
      const heightOf = (element) => Math.max(element.getBoundingClientRect().height, parseFloat(getComputedStyle(element, "::after").height) || 0);
      const all = [...document.querySelectorAll("main :is(button, a, input:not([type=checkbox]), select, textarea, summary)")].filter((element) => element.getClientRects().length > 0);
      const isInText = (element) => element.matches("p a, [role=status] a");
      return all.filter((element) => !isInText(element) && heightOf(element) < least - 0.5).map((element) => `${element.textContent || element.getAttribute("aria-label")} ${heightOf(element)}`);
    }, FINGER_PX);
    expect(small.length === 0, `${where}: ${small.join("; ")}`);
    const wide = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll("main, main > div")].filter((box) => box.scrollWidth > box.clientWidth).length);
    expect(wide === 0, `${where} is wider than the phone`);
  }
}, PHONE);

await check("a model is found, changed and saved by keyboard alone", { PROVIDERS: "1" }, async (page) => {
  const tabTo = async (name) => {
    for (let steps = 0; steps < 80; steps += 1) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => document.activeElement?.labels?.[0]?.textContent || document.activeElement?.getAttribute("aria-label") || document.activeElement?.textContent);
      if (at?.startsWith(name)) return;
    }
    throw new Error(`${name} is not reached by Tab`);
  };
  await page.goto("/settings/models");
  await page.getByText("Claude Sonnet").first().waitFor();
  await tabTo("Claude Sonnet");
  await page.keyboard.press("Enter");
  await page.getByLabel("Input", { exact: true }).waitFor();
  await tabTo("Input");
  await page.keyboard.type("4");
  await page.keyboard.press("Enter");
  await saved(page);
  expect((await modelNamed(page, "claude-sonnet-4-5")).model_config.cost.input_price_per_million_tokens === 4, "the price was not stored");
});

for (const scheme of ["light", "dark"]) {
  await check(`axe: administration, ${scheme}`, EVERYTHING, async (page) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [where, open, text] of PAGES) {
      await open(page);
      await page.getByText(text, { exact: false }).first().waitFor();
      if (!(await page.evaluate(() => "axe" in globalThis))) await page.addScriptTag({ path: AXE });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
      expect(serious.length === 0, `${where}: ${serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 4).join(", ")}`).join("; ")}`);
    }
  }, { bypassCSP: true });
}
await end();

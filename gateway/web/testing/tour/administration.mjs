// What administrators see: providers and how they do, keys, breakers, models, and who spends what.
import { reply, text } from "../real/fake-llm.mjs";
import { until } from "../real/until.mjs";
import { Visitor } from "../real/visitor.mjs";
import { TALL, withTandem } from "./stage.mjs";

const BUSY_MODEL = "gpt-4.1-mini";
const REVOKED = "sk-fake-revoked-7Qx2";
const PASSWORD = "correct horse battery";
const TEAM = [["ada", "Ada Lovelace"], ["grace", "Grace Hopper"], ["alan", "Alan Turing"]];
/** As many as the breaker wants in a row, and some more for the attempts that follow. */
const FAILURES = 30;

const priced = (input, output) => ({ cost: { input_price_per_million_tokens: input, output_price_per_million_tokens: output } });

export const administration = (browser, shoot) =>
  withTandem(browser, {}, async ({ fake, tandem, visitor, page }) => {
    const [scripted] = await visitor.get("/api/v1/ai/providers");
    await visitor.patch(`/api/v1/ai/providers/${scripted.id}`, { display_name: "OpenAI", api_keys: [{ api_key: REVOKED }, { id: scripted.api_keys[0].id }] });
    await fake.setKey("revoked", REVOKED);
    const [model] = await visitor.get("/api/v1/chats/model-configs");
    await visitor.patch(`/api/v1/chats/model-configs/${model.id}`, { model: "gpt-5", display_name: "GPT-5", model_config: priced("1.25", "10") });
    const busy = await visitor.post("/api/v1/chats/model-configs", { ai_provider_id: scripted.id, model: BUSY_MODEL, display_name: "GPT-4.1 mini", context_limit: 1_000_000, model_config: priced("0.4", "1.6") });
    for (const [type, name, display_name, api_keys] of [["anthropic", "anthropic", "Anthropic", ["sk-ant-example-key-4f2a"]], ["bedrock", "bedrock", "AWS Bedrock", []], ["copilot", "copilot-business", "GitHub Copilot Business", []]]) {
      await visitor.post("/api/v1/ai/providers", { type, name, display_name, enabled: true, api_keys });
    }
    const [organization] = await visitor.get("/api/v1/organizations");

    const ask = async (who, words, length) => {
      await fake.script(words, { ...reply(text(words)), usage: { prompt_tokens: length * 40, completion_tokens: length * 9, cached_tokens: length * 20, reasoning_tokens: 0 } });
      const chat = await who.post("/api/v1/chats", { organization_id: organization.id, model_config_id: model.id, content: [{ type: "text", text: words }] });
      await until("the chat is at rest", async () => (await who.get(`/api/v1/chats/${chat.id}`)).status === "waiting");
    };
    await ask(visitor, "Write the release notes of this week.", 2_100);
    for (const [index, [username, name]] of TEAM.entries()) {
      await visitor.post("/api/v1/users", { username, name, email: `${username}@example.com`, password: PASSWORD, organization_ids: [organization.id] });
      const member = await Visitor.open(browser, tandem.origin);
      await member.signIn(username, PASSWORD);
      await member.page.getByRole("heading", { name: "What shall we do?" }).waitFor();
      for (let asked = 0; asked <= 2 - index; asked += 1) await ask(member, `Question ${asked + 1} of ${name}`, 1_500 + 900 * index);
      await member.close();
    }
    await visitor.put("/api/v1/chats/usage-limits", { spend_limit_micros: 25_000_000, period: "month" });

    await fake.fail(BUSY_MODEL, 503, FAILURES);
    const stuck = await visitor.post("/api/v1/chats", { organization_id: organization.id, model_config_id: busy.id, content: [{ type: "text", text: "Is anybody there?" }] });
    await until("the breaker is open", async () => (await visitor.get("/api/v1/ai/providers/health")).providers.some(({ breakers }) => breakers.some(({ state }) => state === "open")));
    await page.setViewportSize(TALL);
    await page.goto("/settings/models");
    await page.getByText("Degraded").first().waitFor();
    await shoot(page, "providers");
    await page.getByRole("region", { name: "Providers" }).getByRole("link", { name: /^OpenAI/ }).click();
    await page.getByText(/paused/).first().waitFor();
    await shoot(page, "provider");
    await visitor.post(`/api/v1/chats/${stuck.id}/interrupt`);

    await page.goto("/settings/spend");
    await page.getByText("Ada Lovelace").first().waitFor();
    await shoot(page, "spend");
    await page.getByRole("link", { name: /Ada Lovelace/ }).first().click();
    await page.getByRole("img", { name: /Cost by day/ }).waitFor();
    await shoot(page, "spend-user");
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^GPT-5/ }).click();
    await page.getByLabel("Cache write").waitFor();
    await shoot(page, "model");
  });

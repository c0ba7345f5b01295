// Photographs the UI against the stub server, for a person to look at. Usage: node testing/screenshots.mjs [directory] [scene…]
// Needs a build in dist/ and Chromium. Fails when the page logs an error or breaks the content security policy.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const OUT = process.argv[2] ?? "/tmp/shots";
const WANTED = process.argv.slice(3);
const SIZES = { 1440: [1440, 900], 900: [900, 900], 380: [380, 800] };
const stub = fileURLToPath(new URL("./stub-server.mjs", import.meta.url));
let nextPort = 7300;
let failed = false;

mkdirSync(OUT, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
});

async function serve(env = {}) {
  const port = nextPort++;
  const child = spawn(process.execPath, [stub, String(port)], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { base: `http://127.0.0.1:${port}`, stop: () => child.kill() };
}

const ask = async (page, text) => {
  await page.getByLabel("Message", { exact: true }).fill(text);
  // On a touch screen Enter is a new line, so the button it is.
  await page.getByRole("button", { name: /^(Send|Queue)$/ }).click();
};
/** Where it is chosen how the agent works: on a phone behind another button. */
const manner = (page) => page.getByRole("button", { name: /^(?:Approvals|How it works): / });
const beginAsking = async (page, mode, text) => {
  await page.goto("/");
  await manner(page).click();
  await page.getByRole("menuitemradio", { name: mode }).click();
  await ask(page, text);
  await page.getByRole("button", { name: /^Approve/ }).first().waitFor({ timeout: 20_000 });
  await page.waitForTimeout(400);
};
const settled = async (page) => {
  await page.waitForURL(/\/chats\//);
  await page.getByRole("button", { name: "Stop (Esc)" }).waitFor({ timeout: 10_000 }).catch(() => undefined);
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 30_000 });
  await page.waitForTimeout(400);
};

const scenes = {
  login: [{ SETUP: "0" }, async (page) => {
    await page.request.post("/api/v1/users/logout");
    await page.goto("/login");
    await page.getByLabel("Password").waitFor();
  }],
  setup: [{ SETUP: "1" }, async (page) => {
    await page.goto("/setup#code=DEMO-CODE");
    await page.getByLabel("Password again").waitFor();
  }],
  "setup-model": [{ SETUP: "1" }, async (page) => {
    await page.goto("/setup#code=DEMO-CODE");
    await page.getByRole("button", { name: "Later" }).click();
    await page.getByRole("button", { name: /Paste an API key/ }).click();
    await page.getByLabel("API key").fill("sk-or-bad-key");
    await page.getByRole("button", { name: "Test" }).click();
    await page.getByText("That did not work").waitFor();
  }],
  "setup-server": [{ SETUP: "1" }, async (page) => {
    await page.goto("/setup#code=DEMO-CODE");
    await page.getByRole("button", { name: "Later" }).click();
    await page.getByRole("button", { name: /server of your own/ }).click();
    await page.getByText("Ollama", { exact: true }).waitFor();
  }],
  empty: [{}, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
  }],
  streaming: [{ SEED: "1", SPEED: "0.6" }, async (page) => {
    await page.goto("/");
    await ask(page, "Show me some markdown about turns");
    await page.getByText("claims").first().waitFor();
    await page.waitForTimeout(1_600);
  }],
  tools: [{ SEED: "1", SPEED: "3" }, async (page) => {
    await page.goto("/");
    await ask(page, "Create hello.txt with a haiku and show it");
    await settled(page);
  }],
  markdown: [{ SEED: "1", SPEED: "20" }, async (page) => {
    await page.goto("/");
    await ask(page, "Show me some markdown about turns");
    await settled(page);
  }],
  live: [{ SEED: "1", SPEED: "2" }, async (page) => {
    await page.goto("/");
    await ask(page, "Run the slow build");
    await page.getByText("crate-07").waitFor({ timeout: 20_000 });
  }],
  error: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await ask(page, "This will fail");
    await page.getByText("rejected the API key").waitFor();
  }],
  retry: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await ask(page, "Please retry");
    await page.getByText(/^Attempt/).waitFor();
  }],
  queue: [{ SEED: "1", SPEED: "2" }, async (page) => {
    await page.goto("/");
    await ask(page, "Run the slow build");
    await page.getByText("crate-02").waitFor({ timeout: 20_000 });
    await ask(page, "Then run the tests and tell me which are slow");
    await ask(page, "And write the release notes");
    await page.getByText("Sent when the agent is done").waitFor();
    await page.getByLabel("Message", { exact: true }).fill("Also bump the version");
    await page.getByRole("button", { name: "More ways to send" }).click();
    await page.getByText("Send now").last().waitFor();
    await page.waitForTimeout(300);
  }],
  code: [{ SEED: "1", SPEED: "30" }, async (page) => {
    await page.goto("/");
    await ask(page, "Show me some code");
    await settled(page);
  }],
  edit: [{ SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "Create hello.txt with a haiku and show it");
    await settled(page);
    await ask(page, "Explain what you can do");
    await settled(page);
    const first = page.locator("[data-walk=message]").first();
    await page.locator("[role=log]").evaluate((log) => log.scrollTo(0, 0));
    await first.hover();
    await first.getByRole("button", { name: "Edit message" }).click();
    await page.getByLabel("New text").fill("Create hello.txt with a limerick and show it");
    await page.waitForTimeout(400);
  }],
  "queue-edit": [{ SEED: "1", SPEED: "2" }, async (page) => {
    await page.goto("/");
    await ask(page, "Run the slow build");
    await page.getByText("crate-02").waitFor({ timeout: 20_000 });
    for (const text of ["Then run the tests and tell me which are slow", "And write the release notes", "Bump the version"]) await ask(page, text);
    await page.getByText("3 waiting").waitFor();
    await page.getByRole("region", { name: "Waiting messages" }).getByRole("button", { name: "Edit" }).nth(1).click();
    await page.getByLabel("New text of the waiting message").fill("And write the release notes, in the past tense");
    await page.waitForTimeout(300);
  }],
  lost: [{ SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "See what gets lost");
    await settled(page);
  }],
  compacting: [{ SEED: "1", SPEED: "1" }, async (page) => {
    await page.goto("/");
    await ask(page, "Fill the context until it is full");
    await page.getByText("Summarizing the conversation").first().waitFor({ timeout: 20_000 });
    await page.waitForTimeout(1_500);
  }],
  compacted: [{ SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "Fill the context until it is full");
    await settled(page);
    await ask(page, "/clear");
    await page.getByText("The model has forgotten").waitFor();
    await page.getByRole("button", { name: /conversation was summarized/ }).click();
    await page.waitForTimeout(400);
  }],
  commands: [{ SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "Explain what you can do");
    await settled(page);
    await page.getByLabel("Message", { exact: true }).fill("/");
    await page.getByRole("listbox", { name: "Commands" }).waitFor();
  }],
  stopped: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await ask(page, "Show me some markdown about turns");
    await page.getByText("Every turn").waitFor();
    await page.getByRole("button", { name: "Stop (Esc)" }).click();
    await page.getByText("You stopped the agent here").waitFor();
  }],
  uncertain: [{ SEED: "1", LOSE_ANSWERS: "1", SPEED: "4" }, async (page, { stop }) => {
    await page.goto("/");
    await ask(page, "Explain what you can do");
    await settled(page);
    stop();
    await page.getByLabel("Message", { exact: true }).fill("Then do it");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByText("No answer from the server").waitFor();
  }],
  attachments: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    const picture = await page.screenshot();
    await page.getByLabel("Choose files").setInputFiles([
      { name: "desk.png", mimeType: "image/png", buffer: picture },
      { name: "a rather long name of a table of measurements.csv", mimeType: "text/csv", buffer: Buffer.from("a,b\n1,2\n") },
    ]);
    await page.getByLabel("Message", { exact: true }).fill("What is wrong on this page?");
    await page.waitForTimeout(900);
  }],
  search: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    const show = page.getByRole("button", { name: "Show chats" });
    if (await show.isVisible()) await show.click();
    await page.getByLabel("Search chats").fill("label:team:storage");
    await page.getByText("1 chat", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Filters" }).click();
    await page.waitForTimeout(300);
  }],
  labels: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    const show = page.getByRole("button", { name: "Show chats" });
    if (await show.isVisible()) await show.click();
    await page.getByRole("link", { name: /billing tables/ }).hover();
    await page.getByRole("button", { name: "Actions for Migrate the billing tables" }).click();
    await page.getByRole("menuitem", { name: "Labels" }).click();
    await page.getByLabel("New label").fill("priority");
    await page.getByRole("button", { name: "Add" }).click();
    await page.waitForTimeout(300);
  }],
  archived: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    const show = page.getByRole("button", { name: "Show chats" });
    await page.getByText("What shall we do?").waitFor();
    if (await show.isVisible()) await show.click();
    await page.getByRole("button", { name: "Archived chats" }).click();
    await page.getByRole("link", { name: /Old experiments/ }).click();
    await page.getByText("This chat is archived").waitFor();
    await page.waitForTimeout(300);
  }],
  shortcuts: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    await page.getByLabel("Message", { exact: true }).blur();
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
  }],
  settings: [{ SEED: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByText("Demo (scripted)").waitFor();
  }],
  models: [{ PROVIDERS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByText("Workshop server").waitFor();
  }],
  provider: [{ PROVIDERS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Anthropic/ }).click();
    await page.getByRole("button", { name: "Test now" }).click();
    await page.getByText("It works").waitFor();
  }],
  model: [{ PROVIDERS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Claude Sonnet/ }).click();
    await page.getByLabel("Temperature").fill("0.4");
    await page.getByText("Not saved yet").waitFor();
  }],
  "model-options": [{ PROVIDERS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Claude Sonnet/ }).click();
    await page.getByText("All options as JSON").click();
    await page.getByLabel("Options", { exact: true }).scrollIntoViewIfNeeded();
  }],
  "add-key": [{ PROVIDERS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Anthropic/ }).click();
    await page.getByRole("region", { name: "Keys" }).getByRole("button", { name: "Add" }).click();
    await page.getByLabel("New key").fill("sk-ant-bad-key");
    await page.getByRole("button", { name: "Test and add" }).click();
    await page.getByText("That did not work").waitFor();
  }],
  connect: [{ PROVIDERS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByRole("button", { name: /Paste an API key/ }).click();
    await page.getByLabel("API key").fill("azure-key");
    await page.getByRole("combobox", { name: "Provider" }).selectOption("azure");
  }],
  usage: [{ SEED: "1", LIMIT: "1" }, async (page) => {
    await page.goto("/settings/usage");
    await page.getByText("When").waitFor();
  }],
  "usage-old": [{ OLD: "1" }, async (page) => {
    await page.goto("/settings/usage");
    await page.getByText("does not count costs yet").waitFor();
  }],
  spend: [{ SEED: "1", LIMIT: "1" }, async (page) => {
    await page.request.put("/api/v1/chats/usage-limits/overrides/dana", { data: { spend_limit_micros: 50_000_000 } });
    await page.goto("/settings/spend");
    await page.getByText("Dana Okafor").first().waitFor();
  }],
  "limit-group": [{ SEED: "1", LIMIT: "1" }, async (page) => {
    await page.goto("/settings/spend");
    const section = page.getByRole("region", { name: "Organizations" });
    await section.getByRole("button", { name: "Add" }).click();
    await page.getByLabel("Organization", { exact: true }).selectOption({ label: "The lab" });
    await page.getByLabel("US dollars in each month").fill("40");
    await page.getByRole("dialog").getByRole("button", { name: "Set limit" }).click();
    await section.getByText("$40.00").waitFor();
    await section.evaluate((region) => region.scrollIntoView());
  }],
  "stand-in": [{ PROVIDERS: "1", SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "Who will stand in?");
    await settled(page);
    await page.getByText("answered in place of").waitFor();
  }],
  trouble: [{ PROVIDERS: "1", TROUBLE: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByText("Degraded").waitFor();
    await page.getByRole("region", { name: "Providers" }).evaluate((section) => section.scrollIntoView());
  }],
  "trouble-provider": [{ PROVIDERS: "1", TROUBLE: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Anthropic/ }).click();
    await page.getByText("rests until").first().waitFor();
    await page.getByRole("region", { name: "Keys" }).evaluate((section) => section.scrollIntoView({ block: "end" }));
  }],
  access: [{ PROVIDERS: "1", OWN_KEYS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Anthropic/ }).click();
    await page.getByText("Access and load").waitFor();
    await page.getByRole("region", { name: "Keys" }).evaluate((section) => section.scrollIntoView());
  }],
  fallbacks: [{ PROVIDERS: "1" }, async (page) => {
    await page.goto("/settings/models");
    await page.getByRole("link", { name: /^Claude Sonnet/ }).click();
    await page.getByLabel("Model to ask instead").selectOption({ label: "Demo (scripted) · Demo (scripted)" });
    await page.getByText("Not saved yet").waitFor();
    await page.getByRole("region", { name: "When it cannot answer" }).evaluate((section) => section.scrollIntoView());
  }],
  "own-keys": [{ PROVIDERS: "1", OWN_KEYS: "1", MEMBER: "1" }, async (page) => {
    await page.request.put(`/api/v1/users/me/ai-provider-keys/${(await (await page.request.get("/api/v1/ai/providers")).json())[1].id}`, { data: { api_key: "sk-ant-mine-7777" } });
    await page.goto("/settings/keys");
    await page.getByText("sk-…7777").waitFor();
  }],
  "own-key-form": [{ PROVIDERS: "1", OWN_KEYS: "1", MEMBER: "1" }, async (page) => {
    await page.goto("/settings/keys");
    await page.getByRole("button", { name: "Set your key for OpenAI" }).click();
    await page.getByLabel("API key").fill("sk-proj 1");
  }],
  gateway: [{ PROVIDERS: "1", BRIDGE: "1" }, async (page) => {
    await page.goto("/settings/gateway");
    await page.getByText("pull request").waitFor();
  }],
  "gateway-empty": [{}, async (page) => {
    await page.goto("/settings/gateway");
    await page.getByText("No program has asked").waitFor();
    await page.getByRole("radio", { name: "Claude Code" }).click();
  }],
  "gateway-sessions": [{ PROVIDERS: "1", BRIDGE: "1" }, async (page) => {
    await page.goto("/settings/gateway");
    await page.getByText("pull request").waitFor();
    await page.getByRole("region", { name: "Sessions" }).evaluate((section) => section.scrollIntoView());
  }],
  "gateway-session": [{ PROVIDERS: "1", BRIDGE: "1" }, async (page) => {
    await page.goto("/settings/gateway");
    await page.getByRole("link", { name: /pull request/ }).click();
    await page.getByText("Why does the nightly build").waitFor();
    await page.getByText("Thought").click();
    await page.getByText("search_docs").first().click();
    await page.waitForTimeout(400);
  }],
  mcp: [{ PROVIDERS: "1", MCP: "1" }, async (page) => {
    await page.goto("/settings/mcp");
    await page.getByText("Old wiki").waitFor();
  }],
  "mcp-empty": [{}, async (page) => {
    await page.goto("/settings/mcp");
    await page.getByText("None yet").waitFor();
  }],
  "mcp-member": [{ PROVIDERS: "1", MCP: "1", MEMBER: "1" }, async (page) => {
    await page.goto("/settings/mcp");
    await page.getByText("Not connected").waitFor();
  }],
  "mcp-server": [{ PROVIDERS: "1", MCP: "1" }, async (page) => {
    await page.goto("/settings/mcp");
    await page.getByRole("link", { name: /^Handbook/ }).click();
    await page.getByRole("button", { name: "Test now" }).click();
    await page.getByRole("list", { name: "Offered by the server" }).waitFor();
  }],
  "mcp-tools": [{ PROVIDERS: "1", MCP: "1" }, async (page) => {
    await page.goto("/settings/mcp");
    await page.getByRole("link", { name: /^Handbook/ }).click();
    await page.getByRole("button", { name: "Test now" }).click();
    await page.getByRole("checkbox", { name: "delete_project" }).click();
    await page.getByText("Not saved yet").waitFor();
    await page.getByRole("region", { name: "Which chats use it" }).evaluate((section) => section.scrollIntoView());
  }],
  "mcp-oauth": [{ PROVIDERS: "1", MCP: "1" }, async (page) => {
    await page.goto("/settings/mcp");
    await page.getByRole("link", { name: /^Issue tracker/ }).click();
    await page.getByRole("region", { name: "Authentication" }).evaluate((section) => section.scrollIntoView());
    await page.getByText("Where the client has to allow").waitFor();
  }],
  "mcp-new": [{ PROVIDERS: "1", MCP: "1" }, async (page) => {
    await page.goto("/settings/mcp/new");
    await page.getByLabel("Name", { exact: true }).fill("Build machines");
    await page.getByLabel("Address", { exact: true }).fill("builds.example.com/mcp");
    await page.getByRole("combobox", { name: "Kind" }).selectOption("custom_headers");
    await page.getByLabel("Name of header 1").fill("X-Team");
    await page.getByLabel("Value of header 1").fill("storage");
    await page.getByRole("button", { name: "Add a header" }).click();
  }],
  "mcp-choice": [{ PROVIDERS: "1", MCP: "1", SEED: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("Issue tracker needs an account").waitFor();
    await page.getByRole("button", { name: /^MCP/ }).click();
    await page.getByRole("menuitemcheckbox", { name: /Warehouse/ }).click();
    await page.waitForTimeout(300);
  }],
  "mcp-calls": [{ PROVIDERS: "1", MCP: "1", SEED: "1", SPEED: "6" }, async (page) => {
    await page.goto("/");
    await ask(page, "What does the tracker say about the nightly build?");
    await settled(page);
    await page.getByRole("button", { name: /Search issues/ }).click();
    await page.waitForTimeout(300);
  }],
  plan: [{ SEED: "1", SPEED: "6" }, async (page) => {
    await page.goto("/");
    await page.getByRole("button", { name: "Plan first" }).click();
    await ask(page, "Look around, then plan it");
    await settled(page);
  }],
  question: [{ SEED: "1", SPEED: "6" }, async (page) => {
    await page.goto("/");
    await ask(page, "Ask me what you need");
    await settled(page);
    await page.getByRole("radio", { name: /SQLite/ }).check();
  }],
  templates: [{ SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "Use a template");
    await settled(page);
    await page.getByRole("button", { name: /Looked for/ }).click();
    await page.waitForTimeout(300);
  }],
  changes: [{ SEED: "1", SPEED: "8", WORKSPACES: "1" }, async (page) => {
    await page.goto("/");
    await ask(page, "Create hello.txt with a haiku");
    await settled(page);
    await page.getByRole("button", { name: "Changes, context, workspace" }).click();
    await page.getByText("no-name").waitFor();
    await page.waitForTimeout(400);
  }],
  context: [{ SEED: "1", SPEED: "8", WORKSPACES: "1" }, async (page) => {
    await page.goto("/");
    await ask(page, "Explain what you can do");
    await settled(page);
    await page.getByRole("button", { name: "Changes, context, workspace" }).click();
    await page.getByRole("tab", { name: "Context" }).click();
    await page.getByText("How a release is made here").waitFor();
  }],
  workspaces: [{ WORKSPACES: "1" }, async (page) => {
    await page.goto("/settings/workspaces");
    await page.getByText("Its host is offline").waitFor();
  }],
  workspace: [{ WORKSPACES: "1" }, async (page) => {
    await page.goto("/settings/workspaces");
    await page.getByRole("link", { name: /^greeter/ }).click();
    await page.getByText("What it printed").click();
    await page.getByText("install iproute2").waitFor();
  }],
  "workspace-new": [{ WORKSPACES: "1" }, async (page) => {
    await page.goto("/settings/workspaces/new");
    await page.getByLabel("Branch").waitFor();
  }],
  template: [{ WORKSPACES: "1" }, async (page) => {
    await page.goto("/settings/templates");
    await page.getByRole("link", { name: /^Rust/ }).click();
    await page.getByLabel("Startup script").waitFor();
  }],
  skill: [{ WORKSPACES: "1" }, async (page) => {
    await page.goto("/settings/skills");
    await page.getByRole("link", { name: /^release-notes/ }).click();
    await page.getByLabel("Instructions").waitFor();
  }],
  refused: [{ SEED: "1", SPENT: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    await page.getByLabel("Message", { exact: true }).fill("Then run the tests and tell me which are slow");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByText("Your spending limit is reached").waitFor();
  }],
  "cut-off": [{ SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "Explain what you can do");
    await settled(page);
    await page.request.post("/api/v1/stub/upstream", { data: { lost: true } });
    await ask(page, "Run the slow build");
    await page.getByText("Not live").waitFor({ timeout: 30_000 });
  }],
  rename: [{ SEED: "1", SPEED: "8" }, async (page) => {
    await page.goto("/");
    await ask(page, "Explain what you can do");
    await settled(page);
    await page.getByRole("heading", { name: /Explain/ }).getByRole("button").click();
    await page.getByRole("button", { name: "Suggest a title" }).click();
    await page.waitForFunction(() => document.querySelector('input[aria-label="Title"]')?.value === "A proposed title");
  }],
  tokens: [{ SEED: "1" }, async (page) => {
    await page.goto("/settings/tokens");
    await page.getByLabel("Name").fill("ci");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByText("Copy it now").waitFor();
  }],
  "approval-one": [{ SEED: "1", SPEED: "8" }, async (page) => {
    await beginAsking(page, "Ask before risky calls", "Tidy up, please");
    await page.getByRole("button", { name: /^Decline: / }).click();
    await page.getByLabel("Note to the model").fill("Only cargo clean");
  }],
  "approval-several": [{ SEED: "1", SPEED: "8", MCP: "1" }, (page) => beginAsking(page, "Ask before every change", "Ship it")],
  "approval-modes": [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await manner(page).click();
    await page.getByRole("menu").waitFor();
  }],
  palette: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Search chats and actions").waitFor();
  }],
  reconnect: [{ SEED: "1" }, async (page, { stop }) => {
    await page.goto("/");
    await ask(page, "Explain what you can do");
    await settled(page);
    stop();
    await page.getByText("Reconnecting").first().waitFor();
    await page.waitForTimeout(3_500);
  }],
  drawer: [{ SEED: "1" }, async (page) => {
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    const show = page.getByRole("button", { name: "Show chats" });
    if (await show.isVisible()) await show.click();
    await page.waitForTimeout(300);
  }],
};

for (const [name, [env, play]] of Object.entries(scenes)) {
  if (WANTED.length > 0 && !WANTED.includes(name)) continue;
  await Promise.all(
    [["1440", "light"], ["1440", "dark"], ["900", "light"], ["380", "light"], ["380", "dark"]].map(async ([size, scheme]) => {
      const server = await serve(env);
      const [width, height] = SIZES[size];
      const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme, baseURL: server.base, hasTouch: size === "380" });
      page.on("console", (message) => {
        if (message.type() !== "error" || (["reconnect", "uncertain", "cut-off", "usage-old"].includes(name) || /401|409|500/.test(message.text()))) return;
        failed = true;
        process.stderr.write(`${name} ${size} ${scheme}: ${message.text()}\n`);
      });
      page.on("pageerror", (error) => {
        failed = true;
        process.stderr.write(`${name} ${size} ${scheme}: ${error.stack}\n`);
      });
      try {
        await play(page, server);
      } catch (error) {
        failed = true;
        process.stderr.write(`${name} ${size} ${scheme}: ${error.message.split("\n")[0]}\n`);
      }
      await page.screenshot({ path: `${OUT}/${name}-${size}-${scheme}.png` });
      await page.close();
      server.stop();
    }),
  );
  process.stdout.write(`${name}\n`);
}
await browser.close();
process.exit(failed ? 1 : 0);

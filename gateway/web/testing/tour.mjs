// Takes the pictures of docs/tour.md from the real binary, whose services run as processes of their own so that one can be killed.
// Usage: node testing/tour.mjs [directory [scene…]] (scenes: first, work, approvals, host, administration; needs dist/, Chromium, and the binary: `make binaries`, or TANDEM_BIN)
import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { PROGRAM } from "./real/tandem.mjs";
import { essence } from "./real/transcript.mjs";
import { until } from "./real/until.mjs";
import { administration } from "./tour/administration.mjs";
import { approvals } from "./tour/approvals.mjs";
import { host } from "./tour/host.mjs";
import { camera, DESKTOP, PHONE, TALL } from "./tour/stage.mjs";
import { work } from "./tour/work.mjs";

const OUT = process.argv[2] ?? "/tmp/tour";
const FIRST_PORT = 17_080;

const home = await mkdtemp(join(tmpdir(), "tandem-tour-"));
// Where root takes the pictures, the database runs as another user, who must get through.
await chmod(home, 0o755);
await mkdir(OUT, { recursive: true });
const data = join(home, "data");
const port = { gateway: FIRST_PORT, storage: FIRST_PORT + 1, "provider-gateway": FIRST_PORT + 2, "tool-runner": FIRST_PORT + 3, orchestrator: FIRST_PORT + 4 };
const at = (service) => `http://127.0.0.1:${port[service]}`;
const variable = (service, key) => `TANDEM_${service.replaceAll("-", "_").toUpperCase()}__${key}`;
const PEERS = { storage: [], "provider-gateway": ["storage"], "tool-runner": ["storage"], orchestrator: ["storage", "provider-gateway", "tool-runner"], gateway: ["orchestrator", "storage", "provider-gateway", "tool-runner"] };
const running = new Map();

function start(service, more = {}) {
  const peers = (PEERS[service] ?? []).map((peer) => [variable(service, `PEERS__${peer.replaceAll("-", "_").toUpperCase()}`), at(peer)]);
  const listen = service === "gateway" ? { TANDEM_LISTEN: `127.0.0.1:${port.gateway}` } : service in port ? { [variable(service, "LISTEN")]: at(service) } : {};
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, TANDEM_DATA_DIR: data, ...listen, ...Object.fromEntries(peers), ...more };
  const child = spawn(PROGRAM, [service], { env, stdio: ["ignore", "pipe", "pipe"] });
  const part = { child, log: "" };
  for (const output of [child.stdout, child.stderr]) output.setEncoding("utf8").on("data", (text) => (part.log += text));
  running.set(service, part);
  return part;
}
const says = (part, what) => until(`"${what}" is printed`, () => what.exec(part.log)?.[0]);

const shoot = camera(OUT);
const say = async (page, text) => {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: /^(Send|Queue)$/ }).click();
};
const answered = async (page) => {
  await page.getByRole("button", { name: "Stop (Esc)" }).waitFor();
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 180_000 });
  await page.waitForTimeout(300);
};
const shown = (page) => page.locator("[role=log]").innerText();
const growsBeyond = (page, length) => page.waitForFunction((beyond) => document.querySelector("[role=log]").innerText.length > beyond, length, { timeout: 60_000 });

async function tour(browser) {
  await says(start("database"), /psql .*/);
  start("storage", { DATABASE_URL: `postgres://tandem@localhost/tandem?host=${encodeURIComponent(join(data, "postgres/run"))}` });
  await says(running.get("storage"), /serving service=storage/);
  start("provider-gateway", { TANDEM_PROVIDER_GATEWAY__DEMO__WORD_PAUSE: "45ms" });
  start("tool-runner");
  await says(running.get("provider-gateway"), /serving service=provider-gateway/);
  start("orchestrator", { TANDEM_ORCHESTRATOR__ADVERTISED_ADDRESS: at("orchestrator") });
  const link = await says(start("gateway"), /https?:\/\/\S+\/setup#code=\S+/);

  const page = await browser.newPage({ baseURL: at("gateway"), viewport: DESKTOP, reducedMotion: "reduce" });
  page.setDefaultTimeout(30_000);
  await page.goto(link);
  await page.getByLabel("Password", { exact: true }).fill("correct horse battery");
  await page.getByLabel("Password again").fill("correct horse battery");
  await page.getByRole("button", { name: "Set password" }).click();
  await page.getByRole("heading", { name: "Choose a model" }).waitFor();
  await shoot(page, "first-run");
  await page.getByRole("button", { name: /Try the demo model/ }).click();
  await page.getByRole("button", { name: "Use the demo model" }).click();
  await page.getByRole("heading", { name: "What shall we do?" }).waitFor();

  // The demo model costs nothing; with prices there is something to count.
  const [model] = await (await page.request.get("/api/v1/chats/model-configs")).json();
  const cost = { input_price_per_million_tokens: "3", output_price_per_million_tokens: "15", cache_read_price_per_million_tokens: "0.3", cache_write_price_per_million_tokens: "3.75" };
  await page.request.patch(`/api/v1/chats/model-configs/${model.id}`, { data: { model_config: { cost } }, headers: { origin: at("gateway") } });
  await page.request.put("/api/v1/chats/usage-limits", { data: { spend_limit_micros: 100_000, period: "month" }, headers: { origin: at("gateway") } });
  await page.reload();
  await page.getByRole("heading", { name: "What shall we do?" }).waitFor();

  await say(page, "Create hello.py with \"print('hello')\" and run it. Then replace hello with goodbye in hello.py");
  await answered(page);
  await page.setViewportSize(TALL);
  await page.getByRole("button", { name: /^Ran/ }).click();
  await page.locator("[role=log]").evaluate((log) => log.scrollTo(0, 0));
  await page.waitForTimeout(300);
  await shoot(page, "chat");
  const toolChat = new URL(page.url()).pathname;
  await page.setViewportSize(DESKTOP);

  await page.getByRole("button", { name: "New chat" }).click();
  await say(page, "Write a long story");
  await page.getByText("Night 1", { exact: true }).waitFor();
  await page.waitForTimeout(1_500);
  await shoot(page, "streaming");
  await page.getByText("Night 2", { exact: true }).waitFor();
  await say(page, "Then count to 5");
  await say(page, "And run `uname -a`");
  await page.getByText("2 waiting").waitFor();
  const orchestrator = running.get("orchestrator").child;
  await shoot(page, "kill-1-streaming");
  orchestrator.kill("SIGKILL");
  await page.getByText(/nothing new for/).waitFor();
  await page.getByText("Not live", { exact: true }).waitFor();
  await shoot(page, "kill-2-killed");
  const before = (await shown(page)).length;
  start("orchestrator", { TANDEM_ORCHESTRATOR__ADVERTISED_ADDRESS: at("orchestrator") });
  await growsBeyond(page, before + 400);
  await shoot(page, "kill-3-continues");
  await page.getByText("Done: counted to 5.").waitFor({ timeout: 180_000 });
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 60_000 });
  await page.waitForTimeout(500);
  await shoot(page, "kill-4-done");
  const chatId = page.url().split("/").at(-1);
  const { messages } = await (await page.request.get(`/api/v1/chats/${chatId}/messages`)).json();
  const stories = messages.filter((message) => message.role === "assistant" && essence(JSON.stringify(message.content)).includes(essence("Night 2")));
  process.stdout.write(`stored: the story ${stories.length} times, ${messages.length} messages\n`);

  await page.goto("/settings/usage");
  await page.getByRole("img", { name: /Cost by day/ }).waitFor();
  await page.waitForTimeout(300);
  await shoot(page, "usage");

  const session = await page.context().storageState();
  const dark = await browser.newPage({ baseURL: at("gateway"), viewport: TALL, colorScheme: "dark", storageState: session });
  await dark.goto(toolChat);
  await dark.getByText("exit 0").first().waitFor();
  await dark.waitForTimeout(800);
  await shoot(dark, "dark");
  const phone = await browser.newPage({ baseURL: at("gateway"), viewport: PHONE, hasTouch: true, storageState: session });
  await phone.goto(toolChat);
  await phone.getByText("exit 0").first().waitFor();
  await phone.waitForTimeout(800);
  await shoot(phone, "phone");
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"] });
const SCENES = { first: tour, work, approvals, host, administration };
const wanted = process.argv.slice(3);
try {
  for (const [name, play] of Object.entries(SCENES)) if (wanted.length === 0 || wanted.includes(name)) await play(browser, shoot);
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`${error.stack}\n${[...running].map(([name, { log }]) => `--- ${name}\n${log.slice(-1_500)}`).join("\n")}\n`);
}
await browser.close();
for (const { child } of [...running.values()].toReversed()) {
  const gone = new Promise((resolve) => (child.exitCode === null && child.signalCode === null ? child.once("exit", resolve) : resolve()));
  child.kill("SIGTERM");
  await gone;
}
await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });

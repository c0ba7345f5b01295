// Checks in a real browser against the stub server, without pictures: a cut stream ends with the server's text, a long chat
// opens at its end, and axe finds nothing serious. Usage: node testing/browser-checks.mjs (needs dist/ and Chromium)
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const stub = fileURLToPath(new URL("./stub-server.mjs", import.meta.url));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
});
let nextPort = 7400;
let failures = 0;

async function check(name, env, play, options = {}) {
  const port = nextPort++;
  const child = spawn(process.execPath, [stub, String(port)], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const page = await browser.newPage({ baseURL: `http://127.0.0.1:${port}`, viewport: { width: 1200, height: 800 }, bypassCSP: options.bypassCSP ?? false });
  try {
    await play(page);
    process.stdout.write(`ok    ${name}\n`);
  } catch (error) {
    failures += 1;
    process.stdout.write(`FAIL  ${name}: ${error.message}\n`);
  }
  await page.close();
  child.kill();
}

const ask = async (page, text) => {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/chats\//);
};
const expect = (truth, message) => {
  if (!truth) throw new Error(message);
};
const shown = (page) => page.locator("[role=log]").innerText();
const plain = (text) => text.replaceAll(/[\s`*>#|-]/g, "");

await check("a stream that is cut three times ends with exactly the server's text", { SPEED: "1.5" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  for (let n = 0; n < 3; n += 1) {
    await page.waitForTimeout(500);
    await page.request.post("/api/v1/stub/cut");
  }
  await page.getByText("tell me what it says").last().waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 20_000 });
  const chatId = page.url().split("/").pop();
  const { messages } = await (await page.request.get(`/api/v1/chats/${chatId}/messages`)).json();
  const answer = messages.find((m) => m.role === "assistant").content.find((p) => p.type === "text").text;
  const page1 = plain(await shown(page));
  expect(page1.split(plain(answer)).length === 2, "the answer is not on the page exactly once");
});

await check("stop keeps what was written, and a reload shows the same", { SPEED: "1" }, async (page) => {
  await page.goto("/");
  await ask(page, "Show me some markdown");
  await page.getByText("Every turn has").waitFor();
  await page.getByLabel("Message", { exact: true }).press("Escape");
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  const before = await shown(page);
  await page.reload();
  await page.getByText("Every turn has").waitFor();
  expect(plain(await shown(page)) === plain(before), "the page differs after a reload");
});

await check("text survives a failed send", { FAIL_SEND: "1" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 20_000 });
  await page.getByLabel("Message", { exact: true }).fill("precious");
  await page.keyboard.press("Enter");
  await page.getByText("Not sent. Your text is still here.").waitFor();
  expect((await page.getByLabel("Message", { exact: true }).inputValue()) === "precious", "the text is gone");
});

await check("a chat of 10,000 messages opens at its end, and older pages load upwards without a jump", {}, async (page) => {
  await page.goto("/");
  const { id } = await (await page.request.post("/api/v1/stub/long", { data: { messages: 10_000 } })).json();
  const started = Date.now();
  await page.goto(`/chats/${id}`);
  await page.getByText("Message 9999").waitFor();
  process.stdout.write(`      (opened in ${Date.now() - started} ms, load included)\n`);
  const box = page.locator("[role=log]");
  const gap = () => box.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight);
  expect((await gap()) < 3, `not at the end: ${await gap()} px away`);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  expect(nodes < 2_000, `${nodes} elements on the page`);
  for (let n = 0; n < 40; n += 1) {
    await box.evaluate((e) => e.scrollBy(0, -900));
    await page.waitForTimeout(40);
  }
  const top = Number(/Message (\d+)/.exec(await shown(page))?.[1]);
  expect(top < 9_900, `still at message ${top}`);
});

await check("everything can be done by keyboard", { SEED: "1" }, async (page) => {
  await page.goto("/");
  await page.getByText("What shall we do?").waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("release notes");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/chats\//);
  await page.getByRole("heading", { name: /release notes/ }).waitFor();
  await page.getByRole("button", { name: "More", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("list").getByText("release notes").first().waitFor();
  expect((await page.getByRole("heading", { name: "Pinned" }).count()) === 1, "not pinned");
});

for (const scheme of ["light", "dark"]) {
  for (const [where, prepare] of [
    ["the empty page", async (page) => page.goto("/")],
    ["a conversation", async (page) => {
      await page.goto("/");
      await ask(page, "Create hello.txt with a haiku");
      await page.getByText("both tests pass").first().waitFor({ timeout: 20_000 });
    }],
    ["an error", async (page) => {
      await page.goto("/");
      await ask(page, "This will fail");
      await page.getByText("rejected the API key").waitFor();
    }],
    ["the settings", async (page) => page.goto("/settings/models")],
  ]) {
    await check(`axe: ${where}, ${scheme}`, { SEED: "1", SPEED: "4" }, async (page) => {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await prepare(page);
      await page.waitForTimeout(500);
      await page.addScriptTag({ path: AXE });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
      const text = serious.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(" ")} [${n.any.map((a) => a.message).join("; ").slice(0, 200)}]`).slice(0, 3).join(", ")}`).join("\n      ");
      expect(serious.length === 0, text);
    }, { bypassCSP: true });
  }
}
await browser.close();
process.exit(failures === 0 ? 0 : 1);

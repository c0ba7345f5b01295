// What checks in a real browser against the stub server share: a server and a page for each, and an account of what failed.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const stub = fileURLToPath(new URL("./stub-server.mjs", import.meta.url));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
});
let nextPort = Number(process.env.FIRST_PORT ?? 7400);
let failures = 0;

/** Plays `play(page)` against a stub of its own with this environment. `options` are the page's, as the browser takes them. */
export async function check(name, env, play, options = {}) {
  const port = nextPort++;
  const child = spawn(process.execPath, [stub, String(port)], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve, reject) => {
    child.stdout.once("data", resolve);
    child.once("exit", () => reject(new Error(`no stub at port ${port}`)));
  });
  const page = await browser.newPage({ baseURL: `http://127.0.0.1:${port}`, viewport: { width: 1200, height: 800 }, ...options });
  try {
    await play(page, { stop: () => child.kill() });
    process.stdout.write(`ok    ${name}\n`);
  } catch (error) {
    failures += 1;
    process.stdout.write(`FAIL  ${name}: ${error.message}\n`);
  }
  await page.close();
  child.kill();
}

export async function end() {
  await browser.close();
  process.exit(failures === 0 ? 0 : 1);
}

export function expect(truth, message) {
  if (!truth) throw new Error(message);
}

export const composer = (page) => page.getByLabel("Message", { exact: true });
export const shown = (page) => page.locator("[role=log]").innerText();

export async function ask(page, text) {
  await composer(page).fill(text);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/chats\//);
}

/** Waits until the turn that was just begun has ended. */
export async function idle(page) {
  await page.getByRole("button", { name: "Stop (Esc)" }).waitFor({ timeout: 5_000 }).catch(() => undefined);
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 20_000 });
}

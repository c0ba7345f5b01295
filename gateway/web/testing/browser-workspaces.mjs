// Checks in a real browser against the stub server of how the agent works in places: plans and questions answered from their cards,
// templates and skills, and what changed beside the conversation. Usage: node testing/browser-workspaces.mjs (needs dist/ and Chromium)
import { createRequire } from "node:module";
import { ask, check, composer, end, expect, idle, shown } from "./check.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PHONE = { viewport: { width: 380, height: 800 }, hasTouch: true };
/** Axe comes as a script of its own. */
const OPEN = { bypassCSP: true };
const FAST = { SPEED: "8", WORKSPACES: "1" };
const serious = async (page) => {
  await page.addScriptTag({ path: AXE });
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 120)}`);
};
const modeOf = async (page) => (await (await page.request.get(`/api/v1/chats/${page.url().split("/").at(-1)}`)).json()).plan_mode;

await check("a chat plans first, and approving the plan has it carried out", FAST, async (page) => {
  await page.goto("/");
  await page.getByRole("button", { name: "Plan first" }).click();
  await ask(page, "Look around, then plan it");
  await idle(page);
  expect((await modeOf(page)) === "plan", "the chat does not plan");
  await page.getByRole("heading", { name: "Accept no name" }).waitFor();
  const violations = await serious(page);
  expect(violations.length === 0, violations.join("; "));
  await page.getByRole("button", { name: "Approve and carry out" }).click();
  await page.getByText("The plan is approved. Carry it out.").waitFor();
  await idle(page);
  expect((await modeOf(page)) === "", "the chat still plans");
  expect((await page.getByRole("button", { name: "Approve and carry out" }).count()) === 0, "it can be approved twice");
  expect((await page.getByRole("button", { name: "Plan first" }).getAttribute("aria-pressed")) === "false", "the switch is still on");
}, OPEN);

await check("what should change in a plan is said in the composer, and planning goes on", FAST, async (page) => {
  await page.goto("/");
  await page.getByRole("button", { name: "Plan first" }).click();
  await ask(page, "Look around, then plan it");
  await idle(page);
  await page.getByRole("button", { name: "Say what to change" }).click();
  await page.keyboard.type("No tests, please, and explain");
  await page.keyboard.press("Enter");
  await idle(page);
  expect((await modeOf(page)) === "plan", "the chat has stopped planning");
});

await check("questions are answered by options and in one's own words, by keyboard alone", FAST, async (page) => {
  await page.goto("/");
  await ask(page, "Ask me what you need");
  await idle(page);
  const send = page.getByRole("button", { name: "Send the answers" });
  expect(await send.isDisabled(), "nothing can be sent yet");
  await page.getByRole("radio", { name: /PostgreSQL/ }).focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("ArrowDown");
  expect(await page.getByRole("radio", { name: /SQLite/ }).isChecked(), "arrow keys move between options");
  await page.getByLabel("Another answer to: On which port shall it listen?").fill("9000");
  await page.keyboard.press("Enter");
  await page.getByText("Database: SQLite").waitFor();
  await idle(page);
  expect(/Port: 9000/.test(await shown(page)), await shown(page));
  expect((await page.getByRole("button", { name: /Send the/ }).count()) === 0, "it can be answered twice");
});

await check("cards of templates, workspaces and skills say what happened in one line", FAST, async (page) => {
  await page.goto("/");
  await ask(page, "Use a template");
  await idle(page);
  const text = (await shown(page)).replaceAll("\n", " ");
  for (const wanted of [/Looked for templates 2 templates/, /Created admin\/greeter ready/, /Read the skill release/]) expect(wanted.test(text), `${wanted}: ${text}`);
  await page.getByRole("button", { name: /Looked for/ }).click();
  await page.getByText("4 people use it").waitFor();
  await page.getByRole("button", { name: /the skill release/ }).click();
  await page.getByRole("heading", { name: "Releases" }).waitFor();
});

await check("what changed stands beside the conversation, file by file", FAST, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  await page.getByRole("button", { name: "Changes and context" }).click();
  const panel = page.getByRole("complementary", { name: "Beside the conversation" });
  await panel.getByText("no-name").waitFor();
  await panel.getByRole("region", { name: "Changes in tests/greet.rs" }).waitFor();
  await panel.getByText("moved").waitFor();
  await panel.getByText("Nothing has changed since the last commit.").waitFor();
  const violations = await serious(page);
  expect(violations.length === 0, violations.join("; "));
  await panel.getByRole("tab", { name: "Context" }).click();
  await panel.getByText("No AGENTS.md was found").waitFor();
  await page.reload();
  await panel.getByText("No AGENTS.md was found").waitFor();
  await panel.getByRole("button", { name: "Close" }).click();
  expect((await panel.count()) === 0, "the panel stays");
}, OPEN);

await check("without a repository the panel shows the agent's own edits", { SPEED: "8" }, async (page) => {
  await page.goto("/");
  await ask(page, "Create hello.txt with a haiku");
  await idle(page);
  await page.getByRole("button", { name: "Changes and context" }).click();
  const panel = page.getByRole("complementary", { name: "Beside the conversation" });
  await panel.getByRole("region", { name: "Changes in /workspace/src/greet.rs" }).waitFor();
  await panel.getByText("/workspace/hello.txt").waitFor();
});

await check("on a phone the panel lies over the conversation and nothing scrolls sideways", FAST, async (page) => {
  await page.goto("/");
  await composer(page).fill("Explain what you can do");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.waitForURL(/\/chats\//);
  await idle(page);
  await page.getByRole("button", { name: "Changes and context" }).click();
  await page.getByText("no-name").waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wide <= 0, `the page is ${wide} px too wide`);
  const close = await page.getByRole("complementary", { name: "Beside the conversation" }).getByRole("button", { name: "Close" }).boundingBox();
  expect(close.width >= 44 && close.height >= 44, `the button to close is ${close.width} × ${close.height}`);
}, PHONE);

await end();

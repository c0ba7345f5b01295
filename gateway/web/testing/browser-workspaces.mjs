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
  await page.getByRole("button", { name: "Changes, context, workspace" }).click();
  const panel = page.getByRole("complementary", { name: "Beside the conversation" });
  await panel.getByText("no-name", { exact: true }).first().waitFor();
  await panel.getByRole("region", { name: "Changes in tests/greet.rs" }).waitFor();
  await panel.getByText("moved").waitFor();
  await panel.getByRole("link", { name: "A greeting for nobody" }).waitFor();
  await panel.getByText("changes requested").waitFor();
  await panel.getByText("Nothing has changed since the last commit.").waitFor();
  const violations = await serious(page);
  expect(violations.length === 0, violations.join("; "));
  await panel.getByRole("tab", { name: "Context" }).click();
  await panel.getByText("/workspace/greeter/AGENTS.md").waitFor();
  await panel.getByText("How a release is made here").waitFor();
  await panel.getByText("cut at 64 KiB").waitFor();
  await page.reload();
  await panel.getByText("/workspace/greeter/AGENTS.md").waitFor();
  await panel.getByRole("button", { name: "Close" }).click();
  expect((await panel.count()) === 0, "the panel stays");
}, OPEN);

await check("without a repository the panel shows the agent's own edits", { SPEED: "8" }, async (page) => {
  await page.goto("/");
  await ask(page, "Create hello.txt with a haiku");
  await idle(page);
  await page.getByRole("button", { name: "Changes, context, workspace" }).click();
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
  await page.getByRole("button", { name: "Changes, context, workspace" }).click();
  await page.getByText("no-name", { exact: true }).first().waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wide <= 0, `the page is ${wide} px too wide`);
  const close = await page.getByRole("complementary", { name: "Beside the conversation" }).getByRole("button", { name: "Close" }).boundingBox();
  expect(close.width >= 44 && close.height >= 44, `the button to close is ${close.width} × ${close.height}`);
}, PHONE);

await check("workspaces say how they stand, stop and start, and show what they printed", FAST, async (page) => {
  await page.goto("/settings/workspaces");
  const row = (name) => page.getByRole("listitem").filter({ hasText: name });
  await row("greeter").getByText("Running").waitFor();
  await row("laptop").getByText("Its host is offline").waitFor();
  await row("broken").getByText("Remote branch mian not found").waitFor();
  await page.getByRole("button", { name: "Start notes" }).click();
  await row("notes").getByText("Starting").waitFor();
  await row("notes").getByText("Running").waitFor();
  await page.getByRole("link", { name: /^greeter/ }).click();
  await page.getByText("Its files stay").or(page.getByText("Unless it is used")).waitFor();
  await page.getByText("What it printed").click();
  await page.getByText("Enumerating objects: 412").waitFor();
  await page.getByText("install iproute2").waitFor();
  const violations = await serious(page);
  expect(violations.length === 0, violations.join("; "));
  await page.getByRole("button", { name: "Stop greeter" }).click();
  await page.getByText("Stopped", { exact: true }).waitFor();
}, OPEN);

await check("a workspace is made from a template with what it asks for, and deleted again", FAST, async (page) => {
  await page.goto("/settings/workspaces");
  await page.getByRole("link", { name: "New" }).click();
  await page.getByLabel("Name").fill("greeter");
  await page.getByLabel("Size").selectOption("large");
  expect((await page.getByLabel("Branch").inputValue()) === "main", "the preset is not taken");
  const make = page.getByRole("button", { name: "Make the workspace" });
  await page.getByLabel("Branch").fill("");
  expect(await make.isDisabled(), "it can be made without its branch");
  await page.getByLabel("Branch").fill("next");
  await make.click();
  await page.getByText("You have a workspace of that name already.").waitFor();
  await page.getByLabel("Name").fill("greeter-2");
  await make.click();
  await page.getByRole("heading", { name: /greeter-2/ }).waitFor();
  await page.getByText("next", { exact: true }).waitFor();
  await page.getByText("Running", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Delete greeter-2…" }).click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await page.waitForURL(/\/settings\/workspaces$/);
  await page.getByText("greeter-2").waitFor({ state: "detached" });
});

await check("a host of one's own is told the command, once", FAST, async (page) => {
  await page.goto("/settings/workspaces");
  await page.getByRole("link", { name: /^laptop/ }).click();
  await page.getByRole("button", { name: "Make a new token" }).click();
  await page.getByText("tandem agent --url").waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Make a new token" }).waitFor();
  expect((await page.getByText("tandem agent --url").count()) === 0, "the token is shown again");
});

await check("templates are written by administrators, and a bad line is named", FAST, async (page) => {
  await page.goto("/settings/templates");
  await page.getByRole("link", { name: /^Rust/ }).click();
  await page.getByLabel("Environment").fill("CARGO_TERM_COLOR=always\nnonsense");
  await page.getByText("“nonsense” is not NAME=value.").waitFor();
  expect(await page.getByRole("button", { name: "Save" }).isDisabled(), "nonsense can be saved");
  await page.getByLabel("Environment").fill("A=1");
  await page.getByLabel("Parameters and presets").fill("{");
  await page.getByText("This is not JSON.").waitFor();
  await page.getByLabel("Parameters and presets").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("version 8").waitFor();
  await page.goto("/settings/templates/new");
  await page.getByLabel("Short name").fill("docs");
  await page.getByRole("button", { name: "Add the template" }).click();
  await page.getByRole("link", { name: /^docs/ }).waitFor();
});

await check("a skill is written, changed and removed", FAST, async (page) => {
  await page.goto("/settings/skills");
  await page.getByText("How release notes are written here").waitFor();
  await page.getByRole("link", { name: "New" }).click();
  await page.getByLabel("Name").fill("Code Review");
  await page.getByText("such as release-notes").waitFor();
  await page.getByLabel("Name").fill("code-review");
  await page.getByLabel("Instructions").fill("Look at the tests first.");
  await page.getByRole("button", { name: "Add the skill" }).click();
  await page.getByRole("link", { name: /code-review/ }).click();
  await page.getByRole("button", { name: "Remove the skill…" }).click();
  await page.getByRole("button", { name: "Remove it" }).click();
  await page.waitForURL(/\/settings\/skills$/);
  await page.getByText("release-notes").waitFor();
  await page.getByText("code-review").waitFor({ state: "detached" });
});

await check("a git credential is stored, never shown, and removed", FAST, async (page) => {
  await page.goto("/settings/git");
  await page.getByText("git.example.com").waitFor();
  await page.getByLabel("Host").fill("github.com");
  await page.getByLabel("Token").fill("ghp_secret");
  await page.getByRole("button", { name: "Store" }).click();
  await page.getByRole("button", { name: "Remove github.com" }).waitFor();
  expect(!(await page.content()).includes("ghp_secret") && (await page.getByLabel("Token").inputValue()) === "", "the token is still on the page");
  await page.getByRole("button", { name: "Remove github.com" }).click();
  await page.getByRole("button", { name: "Remove github.com" }).waitFor({ state: "detached" });
});

await check("a server that the workspace names runs once it is approved, and no more when that is taken back", FAST, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  await page.getByRole("button", { name: "Changes, context, workspace" }).click();
  await page.getByRole("tab", { name: "Context" }).click();
  const servers = page.getByRole("region", { name: "MCP servers of the workspace" });
  await servers.getByText("npx -y @example/database-mcp --read-only").waitFor();
  await servers.getByText("You approved something else under this name").waitFor();
  await servers.getByRole("button", { name: "Approve database" }).click();
  await servers.getByText("connected", { exact: true }).waitFor();
  await servers.getByRole("button", { name: "Take back the approval of database" }).click();
  await servers.getByRole("button", { name: "Approve database" }).waitFor();
});

await check("a chat is moved to another workspace from beside the conversation", FAST, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  await page.getByRole("button", { name: "Changes, context, workspace" }).click();
  await page.getByRole("tab", { name: "Workspace" }).click();
  const panel = page.getByRole("complementary", { name: "Beside the conversation" });
  await panel.getByText("Running").waitFor();
  await panel.getByLabel("Work in").selectOption({ label: "notes (local)" });
  await panel.getByText("Stopped").waitFor();
  await panel.getByRole("button", { name: "Start notes" }).waitFor();
});

for (const place of ["workspaces", "templates/new", "skills", "workspaces/new"]) {
  await check(`on a phone ${place} neither scrolls sideways nor troubles axe`, FAST, async (page) => {
    await page.goto(`/settings/${place}`);
    await page.getByRole("heading", { level: 2 }).first().waitFor();
    await page.waitForTimeout(400);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(wide <= 0, `the page is ${wide} px too wide`);
    const violations = await serious(page);
    expect(violations.length === 0, violations.join("; "));
  }, { ...PHONE, ...OPEN });
}

await end();

// Work in workspaces: a template and its workspace, an agent that clones, edits and tests there, what it changed, the workspace's own
// MCP server, a question and a plan.
import assert from "node:assert/strict";
import { FakeLlm } from "./fake-llm.mjs";
import { useFake } from "./prepare.mjs";
import { stage } from "./stage.mjs";
import { until } from "./until.mjs";
import { CHOSEN, FIXED, fixing, FOUND, lookingUp, planning, PLEASE_FIX, PLEASE_LOOK_UP, PLEASE_PLAN, QUESTION, SKILL, TEMPLATE, TEST_COMMAND } from "./work.mjs";

let someone;
let fake;
const scene = stage(async (set) => {
  fake = set.with(await FakeLlm.start());
  someone = await set.visitor();
  await useFake(someone, await set.tandem.link(), fake);
});

const beside = () => someone.page.getByRole("complementary", { name: "Beside the conversation" });
const tab = (name) => beside().getByRole("tab", { name }).click();

scene("a template is written, and a workspace made of it runs its startup script and is deleted again", async () => {
  const { page } = someone;
  await page.goto("/settings/templates/new");
  await page.getByLabel("Short name").fill(TEMPLATE.name);
  await page.getByLabel("Shown as").fill(TEMPLATE.display_name);
  await page.getByLabel("Description").fill(TEMPLATE.description);
  await page.getByLabel("Startup script").fill(TEMPLATE.startup_script);
  await page.getByRole("button", { name: "Add the template" }).click();
  await page.getByRole("link", { name: /^Greeter/ }).waitFor();
  await page.goto("/settings/workspaces/new");
  await page.getByLabel("Template").selectOption({ label: TEMPLATE.display_name });
  await page.getByLabel("Name").fill("by-hand");
  await page.getByRole("button", { name: "Make the workspace" }).click();
  await page.getByRole("heading", { name: /by-hand/ }).waitFor();
  await page.getByText("Running", { exact: true }).waitFor();
  await page.getByText(/^Start: succeeded/).waitFor();
  const printed = page.locator("details").filter({ hasText: "What it printed" }).first();
  if (!(await printed.evaluate(({ open }) => open))) await printed.getByText("What it printed").click();
  await page.getByText("greeter.git is ready").waitFor();
  await someone.shoot("workspace");
  someone.tolerates(/404.*\/api\/v1\/workspaces\//);
  await page.getByRole("button", { name: "Delete by-hand…" }).click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await page.waitForURL(/\/settings\/workspaces$/);
  await until("the workspace is gone", async () => (await someone.get("/api/v1/workspaces")).count === 0);
});

scene("a skill is written, and listed with what it is for", async () => {
  const { page } = someone;
  await page.goto("/settings/skills");
  await page.getByRole("link", { name: "New" }).click();
  await page.getByLabel("Name").fill(SKILL.name);
  await page.getByLabel("Description").fill(SKILL.description);
  await page.getByLabel("Instructions").fill(SKILL.body);
  await page.getByRole("button", { name: "Add the skill" }).click();
  await page.getByRole("link", { name: new RegExp(SKILL.name) }).getByText(SKILL.description).waitFor();
});

scene("the agent finds the template, makes a workspace, clones, reads a skill, edits and tests, each on a card", async () => {
  const { templates } = await someone.get("/api/v1/templates?q=greeter");
  await fixing(fake, templates[0].id);
  await someone.startChat(PLEASE_FIX);
  await someone.log.getByText(FIXED).waitFor();
  await someone.answered();
  for (const card of ["Looked for templates", /^Created .*greeter/, /^Ran git clone/, "Read the skill bug-fix", /^Read .*greeter\.py$/]) await someone.card(card).waitFor();
  const tests = someone.card(`Ran ${TEST_COMMAND}`);
  await tests.first().getByText("exit 1", { exact: true }).waitFor();
  await tests.last().getByText("exit 0", { exact: true }).waitFor();
  const changes = await someone.card(/^Edited .*greeter\.py$/).getByRole("region", { name: /^Changes in / }).innerText();
  assert.match(changes, /if name else "Hello!"/);
  await someone.shoot("workspace-cards");
});

scene("what differs from the last commit stands beside the conversation", async () => {
  await someone.page.getByRole("button", { name: "Changes, context, workspace" }).click();
  await tab("Changes");
  const repository = beside().getByRole("region", { name: /greeter$/ });
  await repository.getByText("main", { exact: true }).waitFor();
  const changes = repository.getByRole("region", { name: /^Changes in .*greeter\.py$/ });
  await changes.getByText(/if name else/).waitFor();
  await someone.shoot("workspace-changes");
});

scene("a server that the workspace names is shown, runs once it is approved, and answers the agent", async () => {
  await tab("Context");
  const servers = beside().getByRole("region", { name: "MCP servers of the workspace" });
  await servers.getByText("python3 tracker.py").waitFor();
  await servers.getByRole("button", { name: "Approve tracker" }).click();
  await servers.getByText("connected", { exact: true }).waitFor();
  await lookingUp(fake);
  await someone.say(PLEASE_LOOK_UP);
  await someone.log.getByText(FOUND).waitFor();
  await someone.answered();
  await someone.card(/find.ticket/i).getByRole("button").first().click();
  await someone.card(/find.ticket/i).getByText(/Greeting without a name/).first().waitFor();
  await someone.shoot("workspace-mcp");
  await beside().getByRole("button", { name: "Close" }).click();
});

scene("planning, the agent asks a question and proposes a plan, and both are answered on their cards", async () => {
  const { page } = someone;
  await planning(fake, someone.chatId());
  await page.getByRole("switch", { name: "Plan first" }).or(page.getByRole("button", { name: "Plan first" })).click();
  await someone.say(PLEASE_PLAN);
  await someone.log.getByText(QUESTION).waitFor();
  await someone.log.getByLabel(CHOSEN).check();
  await someone.shoot("workspace-question");
  await someone.log.getByRole("button", { name: "Send the answer" }).click();
  await someone.log.getByRole("heading", { name: "Greetings in other languages" }).waitFor();
  await someone.shoot("workspace-plan");
  await someone.log.getByRole("button", { name: "Approve and carry out" }).click();
  await someone.log.getByText("Then I begin with the files.").waitFor();
  await someone.answered();
  await fake.completions();
});

// Checks in a real browser against the stub server of calls that wait for a person: deciding one and several, with a note, too late, by
// keyboard, on a phone; and of choosing before what a chat asks. Usage: node testing/browser-approvals.mjs (needs dist/ and Chromium)
import { createRequire } from "node:module";
import { ask, check, composer, end, expect, idle, shown } from "./check.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true };
/** Axe comes as a script of its own. */
const OPEN = { bypassCSP: true };
const FAST = { SPEED: "8", MCP: "1" };
/** The least height of what is hit with a finger, in pixels. */
const FINGER_PX = 44;

const serious = async (page) => {
  await page.addScriptTag({ path: AXE });
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 160)}`);
};
const idOf = (page) => page.url().split("/").at(-1);
const chatOf = async (page) => (await page.request.get(`/api/v1/chats/${idOf(page)}`)).json();
const choose = async (page, name) => {
  await page.getByRole("button", { name: /^Approvals: / }).click();
  await page.getByRole("menuitemradio", { name }).click();
};
/** A new chat that asks, and has come to asking. */
const begin = async (page, mode, text) => {
  await page.goto("/");
  await page.getByText("What shall we do?").waitFor();
  await choose(page, mode);
  await ask(page, text);
  await page.getByRole("button", { name: /^Approve/ }).first().waitFor({ timeout: 20_000 });
};
const approve = (page, call) => page.getByRole("button", { name: new RegExp(`^Approve: .*${call}`) });
const decline = (page, call) => page.getByRole("button", { name: new RegExp(`^Decline: .*${call}`) });
/** Within the time a page needs to draw. */
const focusIsOn = (page, name) =>
  page.waitForFunction((wanted) => (document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent)?.startsWith(wanted), name, { timeout: 3_000 }).catch(async () => {
    throw new Error(`the focus is not on "${name}" but on ${await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 120))}`);
  });

await check("a call waits with all it would run, why, and how risky, and runs once it is approved", FAST, async (page) => {
  await begin(page, "Ask before risky calls", "Tidy up, please");
  const card = page.getByRole("region", { name: /^Wants to run rm -rf/ });
  for (const text of ["rm -rf /workspace/target && cargo clean", "in /workspace", "It runs a command that is not known to be harmless.", "Effects unknown", "You are asked: this chat is yours.", "waits for you"]) await card.getByText(text).first().waitFor();
  await page.getByText(/the wait ends in 23 h/).waitFor();
  const title = await page.getByText(/the wait ends/).getAttribute("title");
  expect(/\d{4}/.test(title), `the exact time is ${title}`);
  await page.getByRole("link", { name: /Tidy up/ }).getByText("Waiting for you").waitFor();
  await page.locator("[aria-live=polite]").getByText("A call waits for your approval: Run rm -rf /workspace/target && cargo clean.").waitFor({ state: "attached" });
  const violations = await serious(page);
  expect(violations.length === 0, violations.join("; "));
  await approve(page, "rm -rf").click();
  await idle(page);
  const text = await shown(page);
  expect(/Ran/.test(text) && /The build directory is gone/.test(text) && !/Approve/.test(text), text);
}, OPEN);

await check("a call is declined with a note, by keyboard alone, and the model is told", FAST, async (page) => {
  await begin(page, "Ask before risky calls", "Tidy up, please");
  await approve(page, "rm -rf").focus();
  await page.keyboard.press("Tab");
  await focusIsOn(page, "Decline: ");
  await page.keyboard.press("Enter");
  await focusIsOn(page, "Note to the model");
  await page.keyboard.press("Escape");
  await focusIsOn(page, "Decline: ");
  expect((await chatOf(page)).status === "requires_action", "Escape in a note stops the agent");
  await page.keyboard.press("Enter");
  await focusIsOn(page, "Note to the model");
  await page.keyboard.type("Only cargo clean");
  await page.keyboard.press("Enter");
  await idle(page);
  const text = (await shown(page)).replaceAll("\n", " ");
  expect(/Did not run .*declined/.test(text) && /They said: Only cargo clean/.test(text), text);
});

await check("several calls are decided one by one, a word can be taken back, and the last one sends them all", FAST, async (page) => {
  const sent = [];
  page.on("request", (request) => request.url().endsWith("/approvals") && sent.push(request.postDataJSON().decisions));
  await begin(page, "Ask before every change", "Ship it");
  await page.getByText("3 calls wait for you").waitFor();
  await page.getByRole("region", { name: "Changes in /workspace/CHANGELOG.md" }).getByText("A name is optional.").waitFor();
  await approve(page, "2 files").click();
  await page.getByText("1 of 3 decided").waitFor();
  await focusIsOn(page, "Change: ");
  await page.keyboard.press("Enter");
  await focusIsOn(page, "Approve: ");
  expect((await page.getByText("1 of 3 decided").count()) === 0, "it is still decided");
  await decline(page, "git add").click();
  await page.getByLabel("Note to the model").fill("No force");
  await page.getByRole("button", { name: "Decline the call" }).click();
  await page.getByText("1 of 3 decided").waitFor();
  await approve(page, "Closing the ticket").click();
  expect(sent.length === 0, "sent before all was decided");
  await approve(page, "2 files").click();
  await idle(page);
  const [decisions, ...more] = sent;
  expect(more.length === 0 && decisions?.length === 3, `sent ${JSON.stringify(sent)}`);
  const declined = decisions.filter(({ decision }) => decision === "decline");
  expect(declined.length === 1 && declined[0].reason === "No force" && decisions.every(({ digest }) => /^[0-9a-f]{64}$/.test(digest)), JSON.stringify(decisions));
  expect(/I did what you allowed/.test(await shown(page)), await shown(page));
});

await check("one word decides everything that is left", FAST, async (page) => {
  await begin(page, "Ask before every change", "Ship it");
  await page.getByRole("button", { name: "Approve all" }).waitFor();
  await decline(page, "git add").click();
  await page.getByRole("button", { name: "Decline the call" }).click();
  await page.getByRole("button", { name: "Approve the other 2" }).click();
  await idle(page);
  expect(/I did what you allowed/.test(await shown(page)), await shown(page));
  await ask(page, "Ship it again");
  await page.getByRole("button", { name: "Decline all…" }).click();
  await page.getByLabel("Note to the model").fill("Not on a Sunday");
  await page.getByRole("button", { name: "Decline all", exact: true }).click();
  await page.getByText("Then I leave it as it is.").waitFor();
  expect((await shown(page)).split("They said: Not on a Sunday").length > 1, await shown(page));
});

await check("what was decided on another device is said, and shown", FAST, async (page) => {
  await begin(page, "Ask before risky calls", "Tidy up, please");
  await page.request.post("/api/v1/stub/elsewhere", { data: { chat_id: idOf(page) } });
  await decline(page, "rm -rf").click();
  await page.getByRole("button", { name: "Decline the call" }).click();
  await page.getByText(/It was decided already, here or on another device/).waitFor();
  await page.getByText("The build directory is gone.").waitFor();
  expect((await page.getByRole("button", { name: /^Approve/ }).count()) === 0, "it can still be decided");
});

await check("a decision that could not be sent is kept, and sent again", FAST, async (page) => {
  await begin(page, "Ask before risky calls", "Tidy up, please");
  await page.route("**/approvals", (route) => route.fulfill({ status: 500, json: { message: "The database is away." } }), { times: 1 });
  await approve(page, "rm -rf").click();
  await page.getByRole("alert").getByText("Not sent. The database is away.").waitFor();
  await page.getByRole("button", { name: "Send again" }).click();
  await page.getByText("The build directory is gone.").waitFor();
});

await check("a chat is told to ask no more, and says before what that means", FAST, async (page) => {
  await begin(page, "Ask before risky calls", "Tidy up, please");
  await page.getByRole("button", { name: "Do not ask again in this chat…" }).click();
  await page.getByText(/from then on the agent runs everything in this chat without asking/).waitFor();
  expect((await chatOf(page)).approval_mode === "risky", "it was done before it was said");
  await page.getByRole("button", { name: "Keep asking" }).click();
  await page.getByRole("button", { name: "Do not ask again in this chat…" }).click();
  await page.getByRole("button", { name: "Approve, and do not ask again" }).click();
  await page.getByText("The build directory is gone.").waitFor();
  expect((await chatOf(page)).approval_mode === "never", "the chat still asks");
  await page.getByRole("button", { name: "Approvals: Never ask" }).waitFor();
  await idle(page);
  await ask(page, "Tidy up again");
  await idle(page);
  expect((await shown(page)).split("The build directory is gone.").length === 3, await shown(page));
});

await check("where the operator has every chat ask, that is said in words", { ...FAST, MINIMUM: "risky" }, async (page) => {
  await page.goto("/");
  await ask(page, "Tidy up, please");
  await page.getByRole("button", { name: "Do not ask again in this chat…" }).click();
  await page.getByRole("button", { name: "Approve, and do not ask again" }).click();
  await page.getByText("This chat goes on asking: ").getByText(/has chats ask before risky calls/).waitFor();
  expect((await page.getByRole("button", { name: /Do not ask again/ }).count()) === 0, "it is offered again");
  await choose(page, "Never ask");
  await page.getByText(/^Not changed\. .*has chats ask before risky calls/).waitFor();
  await page.getByRole("button", { name: "Approvals: Ask before risky calls" }).waitFor();
  await approve(page, "rm -rf").click();
  await page.getByText("The build directory is gone.").waitFor();
});

await check("the choice is one of three, is remembered for new chats, and is changed in a chat at once", FAST, async (page) => {
  await page.goto("/");
  await page.getByRole("button", { name: "Approvals: Never ask" }).click();
  for (const text of ["Everything runs at once", "nobody can tell what a call does", "does more than read"]) await page.getByRole("menu").getByText(text).waitFor();
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.reload();
  await page.getByRole("button", { name: "Approvals: Ask before every change" }).waitFor();
  await ask(page, "Explain what you can do");
  await idle(page);
  expect((await chatOf(page)).approval_mode === "always", "the chat was not begun with it");
  await choose(page, "Ask before risky calls");
  await page.getByRole("button", { name: "Approvals: Ask before risky calls" }).waitFor();
  await page.waitForFunction(async (id) => (await (await fetch(`/api/v1/chats/${id}`)).json()).approval_mode === "risky", idOf(page));
  await page.goto("/");
  await page.getByRole("button", { name: "Approvals: Ask before every change" }).waitFor();
});

await check("a message that is written meanwhile is queued, or declines what waits and goes on", FAST, async (page) => {
  await begin(page, "Ask before risky calls", "Tidy up, please");
  await composer(page).fill("Then run the tests");
  await page.getByText("Queued until the call above is decided.").waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Waiting messages" }).getByText("Then run the tests").waitFor();
  expect((await chatOf(page)).status === "requires_action", "a queued message has ended the wait");
  await composer(page).fill("Explain what you can do instead");
  await page.getByRole("button", { name: "Decline and continue" }).click();
  await page.getByText("I can work in a workspace of this chat").first().waitFor();
  expect((await page.getByRole("button", { name: /^Approve/ }).count()) === 0, "the call still waits");
});

await check("what waits is there again after a reload, and what eyes would miss is spelt out", FAST, async (page) => {
  await begin(page, "Ask before risky calls", "Something unseen");
  await page.reload();
  await approve(page, "echo done").waitFor();
  await page.getByText(/characters that are not seen/).waitFor();
  await page.locator("pre").getByText("⟨U+202E⟩").waitFor();
  expect(!/\u202e/.test(await shown(page)), "it is shown as it is");
});

await check("on a phone every call is read and decided with a thumb", FAST, async (page) => {
  await page.goto("/");
  await page.getByRole("button", { name: /^How it works: / }).tap();
  await page.getByRole("menuitemradio", { name: "Ask before every change" }).tap();
  await composer(page).fill("Ship it");
  await page.getByRole("button", { name: "Send", exact: true }).tap();
  await page.getByRole("button", { name: "Approve all" }).waitFor({ timeout: 20_000 });
  const log = page.locator("[role=log]");
  await log.evaluate((element) => element.scrollTo(0, 0));
  await decline(page, "2 files").waitFor();
  const small = () =>
    page.evaluate((least) => {
      const measured = [...document.querySelectorAll("main button, main summary")].map((one) => ({ name: one.getAttribute("aria-label") ?? one.textContent, height: one.getBoundingClientRect().height }));
      return measured.filter(({ height }) => height > 0 && height < least).map(({ name, height }) => `${name} ${height}`);
    }, FINGER_PX);
  expect((await small()).length === 0, (await small()).join("; "));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wide <= 0, `the page is ${wide} px too wide`);
  const violations = await serious(page);
  expect(violations.length === 0, violations.join("; "));
  await decline(page, "2 files").tap();
  await page.getByRole("button", { name: "Decline the call" }).tap();
  await log.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await page.getByText("1 of 3 decided").waitFor();
  expect((await small()).length === 0, (await small()).join("; "));
  await page.getByRole("button", { name: "Approve the other 2" }).tap();
  await page.getByText("I did what you allowed").waitFor();
}, { ...PHONE, ...OPEN });

await end();

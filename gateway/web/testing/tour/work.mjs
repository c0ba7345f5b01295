// An agent at work: it makes a workspace, clones, reads, edits and tests there, uses a skill and an MCP server, asks and plans.
import { CHOSEN, FIXED, fixing, FOUND, lookingUp, planning, PLEASE_FIX, PLEASE_LOOK_UP, PLEASE_PLAN, QUESTION, SKILL, TEMPLATE } from "../real/work.mjs";
import { beside, DESKTOP, withTandem } from "./stage.mjs";

/** High enough for a whole turn with its cards open. */
const FIRST_HALF = { width: 1120, height: 1060 };
const SECOND_HALF = { width: 1120, height: 1010 };

export const work = (browser, shoot) =>
  withTandem(browser, {}, async ({ fake, visitor, page }) => {
    const { startup_script, ...named } = TEMPLATE;
    const template = await visitor.post("/api/v1/templates", { ...named, spec: { backend: "local", startup_script } });
    await visitor.post("/api/v1/users/me/skills", SKILL);
    await fixing(fake, template.id);
    await visitor.startChat(PLEASE_FIX);
    await visitor.log.getByText(FIXED).waitFor();
    await visitor.answered();

    const open = (card, which = "first") => visitor.card(card)[which]().getByRole("button").first().click();
    await page.setViewportSize(FIRST_HALF);
    for (const card of ["Looked for templates", /^Ran git clone/, "Read the skill bug-fix", /^Read .*greeter\.py$/]) {
      await visitor.log.evaluate((log) => log.scrollTo(0, 0));
      await open(card);
    }
    await visitor.card("Read the skill bug-fix").getByText("Change as little as you can").waitFor();
    await visitor.log.evaluate((log) => log.scrollTo(0, 0));
    await shoot(page, "work-1-cards");
    await page.setViewportSize(SECOND_HALF);
    const tests = /test_greeter\.py$/;
    await visitor.log.evaluate((log) => log.scrollTo(0, log.scrollHeight));
    await open(tests, "last");
    await open(tests, "first");
    await visitor.card(tests).first().getByText("FAILED").waitFor();
    await visitor.log.evaluate((log) => log.scrollTo(0, log.scrollHeight));
    await shoot(page, "work-2-tests");

    await page.setViewportSize(DESKTOP);
    await page.reload();
    await visitor.answered();
    let panel = await beside(page, "Changes");
    await panel.getByText(/if name else/).waitFor();
    await shoot(page, "work-3-changes");
    panel = await beside(page, "Context");
    await panel.getByRole("button", { name: "Approve tracker" }).waitFor();
    await panel.getByText("python3 tracker.py").scrollIntoViewIfNeeded();
    await shoot(page, "work-4-approve");
    await panel.getByRole("button", { name: "Approve tracker" }).click();
    await panel.getByText("connected", { exact: true }).waitFor();
    await panel.getByRole("button", { name: "Close" }).click();

    await lookingUp(fake);
    await visitor.say(PLEASE_LOOK_UP);
    await visitor.log.getByText(FOUND).waitFor();
    await visitor.answered();
    await open(/find.ticket/i);
    await visitor.card(/find.ticket/i).getByText("Greeting without a name").first().waitFor();
    await visitor.log.evaluate((log) => log.scrollTo(0, log.scrollHeight));
    await shoot(page, "work-5-mcp");

    await planning(fake, visitor.chatId());
    await page.getByRole("button", { name: "Plan first" }).or(page.getByRole("switch", { name: "Plan first" })).click();
    await visitor.say(PLEASE_PLAN);
    await visitor.log.getByText(QUESTION).waitFor();
    await visitor.log.getByLabel(CHOSEN).check();
    await shoot(page, "work-6-question");
    await visitor.log.getByRole("button", { name: "Send the answer" }).click();
    await visitor.log.getByRole("heading", { name: "Greetings in other languages" }).waitFor();
    await visitor.log.getByRole("button", { name: "Approve and carry out" }).waitFor();
    await visitor.log.evaluate((log) => log.scrollTo(0, log.scrollHeight));
    await shoot(page, "work-7-plan");
  });

// A chat that asks before every change: two calls wait, are read at a desk and on a phone, and are decided there.
import { call, reply, text } from "../real/fake-llm.mjs";
import { PHONE, TALL, withTandem } from "./stage.mjs";

const PLEASE = "Release the greeter as 0.5.0.";
const COMMAND = "rm -rf build && git tag v0.5.0 && git push origin v0.5.0";
const NOTE = "Do not push. I do that on Monday.";
const DONE = "The version is 0.5.0. The tag and the push are yours, on Monday.";

export const approvals = (browser, shoot) =>
  withTandem(browser, {}, async ({ fake, visitor, page }) => {
    await fake.script(PLEASE, reply(text("Two steps: the version, and then the tag."), call("write_file", { path: "greeter/VERSION", content: "0.5.0\n" }), call("execute", { command: COMMAND })), reply(text(DONE)));
    await page.goto("/");
    await page.getByRole("button", { name: /^Approvals: / }).click();
    await page.getByRole("menu").getByText("Ask before every change").waitFor();
    await shoot(page, "approvals-1-modes");
    await page.getByRole("menuitemradio", { name: /^Ask before every change/ }).click();
    await page.setViewportSize(TALL);
    await visitor.startChat(PLEASE);
    await page.getByText("2 calls wait for you").waitFor();
    await shoot(page, "approvals-2-waiting");

    const phone = await browser.newPage({ viewport: PHONE, hasTouch: true, storageState: await visitor.session() });
    await phone.goto(page.url());
    await phone.getByRole("button", { name: /^Decline: .*git tag/ }).tap();
    await phone.getByLabel("Note to the model").fill(NOTE);
    await shoot(phone, "approvals-3-phone");
    await phone.getByRole("button", { name: "Decline the call" }).tap();
    await phone.getByRole("button", { name: "Approve the last one" }).tap();
    await visitor.log.getByText(DONE).waitFor();
    await visitor.answered();
    await phone.close();
    await shoot(page, "approvals-4-decided");
  });

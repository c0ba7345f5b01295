// What the tour's scenes share: sizes, pictures, and a Tandem in one process with a scripted model and somebody at a browser.
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeLlm } from "../real/fake-llm.mjs";
import { useFake } from "../real/prepare.mjs";
import { Tandem } from "../real/tandem.mjs";
import { Visitor } from "../real/visitor.mjs";

export const DESKTOP = { width: 1120, height: 720 };
export const TALL = { width: 1120, height: 940 };
export const PHONE = { width: 380, height: 760 };
const MAX_BYTES = 150_000;

/** Takes pictures into a directory, and says of each how large it is. */
export const camera = (directory) => async (page, name) => {
  await page.mouse.move(0, 0);
  // What grows, fades or is measured comes to rest within two frames.
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await page.evaluate(() => document.fonts.ready);
  const path = join(directory, `${name}.png`);
  await page.screenshot({ path, animations: "disabled", caret: "hide" });
  const { size } = await stat(path);
  process.stdout.write(`${name}: ${Math.round(size / 1_000)} kB${size > MAX_BYTES ? ", TOO LARGE" : ""}\n`);
};

/** Plays a scene on a Tandem of its own, and takes everything down after it. */
export async function withTandem(browser, more, play) {
  const fake = await FakeLlm.start("--any-model");
  const tandem = await Tandem.create(more);
  let visitor = null;
  try {
    await tandem.start();
    visitor = await Visitor.open(browser, tandem.origin);
    await visitor.page.setViewportSize(DESKTOP);
    await useFake(visitor, await tandem.link(), fake);
    const [model] = await visitor.get("/api/v1/chats/model-configs");
    await visitor.patch(`/api/v1/chats/model-configs/${model.id}`, { display_name: "Scripted model" });
    await play({ fake, tandem, visitor, page: visitor.page });
    await visitor.close();
  } catch (error) {
    const picture = await visitor?.keepEvidence(tmpdir(), "tandem-tour-failure").catch(() => null);
    error.stack = `${error.stack}\n${picture ?? "(no picture)"}\n${tandem.logTail()}`;
    throw error;
  } finally {
    await tandem.close();
    await fake.close();
  }
}

/** The panel beside the conversation, at one of its tabs. */
export async function beside(page, tab) {
  const panel = page.getByRole("complementary", { name: "Beside the conversation" });
  if (!(await panel.isVisible())) await page.getByRole("button", { name: "Changes, context, workspace" }).click();
  await panel.getByRole("tab", { name: tab }).click();
  return panel;
}

// Where scenes are played: one Tandem and one browser for a file of tests, put up before the first and taken down after the last.
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { Tandem } from "./tandem.mjs";
import { Visitor } from "./visitor.mjs";

const BROWSER = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
};
/** Several waits may each take their whole limit; past this the scene hangs. */
const SCENE_LIMIT_MS = 240_000;

class Stage {
  tandem;
  #browser;
  #visitors = [];
  #others = [];

  async open() {
    if (process.env.TANDEM_SHOTS) mkdirSync(process.env.TANDEM_SHOTS, { recursive: true });
    this.tandem = await Tandem.create();
    await this.tandem.start();
    this.#browser = await chromium.launch(BROWSER);
  }

  async close() {
    await this.#browser?.close();
    await Promise.all([this.tandem, ...this.#others].map((part) => part?.close()));
  }

  /** Somebody opens a browser of their own. */
  async visitor(options) {
    const visitor = await Visitor.open(this.#browser, this.tandem.origin, options);
    this.#visitors.push(visitor);
    return visitor;
  }

  /** Something else that is taken down with the stage. */
  with(part) {
    this.#others.push(part);
    return part;
  }

  settleAccounts() {
    for (const visitor of this.#visitors) visitor.settleAccounts();
  }

  /** The failure, with what it looked like, for whoever reads the report. */
  async withEvidence(failure) {
    const directory = process.env.TANDEM_SHOTS ?? mkdtempSync(join(tmpdir(), "tandem-browser-failure-"));
    const shots = await Promise.all(
      this.#visitors.map((visitor, index) => visitor.keepEvidence(directory, `failure-${process.pid}-${index + 1}`).catch((error) => `(no picture: ${error.message.split("\n")[0]})`)),
    );
    // Reporters print the stack, which was written when the failure was made.
    failure.stack = [failure.stack, ...shots, this.tandem?.logTail()].join("\n");
    return failure;
  }
}

/**
 * Puts up a stage, plays `prepare` on it, and gives `scene(name, play)`. Scenes follow one another like the acts of a play: after one
 * that failed the rest would only fail for its sake, so they are skipped.
 */
export function stage(prepare) {
  const set = new Stage();
  let broken = null;
  before(async () => {
    try {
      await set.open();
      await prepare(set);
      set.settleAccounts();
    } catch (error) {
      throw await set.withEvidence(error);
    }
  }, { timeout: SCENE_LIMIT_MS });
  after(() => set.close(), { timeout: SCENE_LIMIT_MS });
  return (name, play) =>
    test(name, { timeout: SCENE_LIMIT_MS }, async (context) => {
      if (broken !== null) return context.skip(`after the failure of "${broken}"`);
      try {
        await play(set);
        set.settleAccounts();
      } catch (error) {
        broken = name;
        throw await set.withEvidence(error);
      }
      return undefined;
    });
}

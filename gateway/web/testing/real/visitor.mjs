// A person at a browser of their own: what they do, what they see, and what went wrong under the surface meanwhile.
import assert from "node:assert/strict";
import { join } from "node:path";
import { essence, lastLine, transcript, words } from "./transcript.mjs";
import { LIMIT_MS, until } from "./until.mjs";

const SHOTS = process.env.TANDEM_SHOTS;
const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 380, height: 800 };
/** Letters of the end of an answer by which it is recognised. */
const END_LETTERS = 24;

export class Visitor {
  page;
  #context;
  #origin;
  #problems = [];
  #expected = [];
  #tolerated = [];

  static async open(browser, origin, { phone = false, session } = {}) {
    const visitor = new Visitor();
    visitor.#origin = origin;
    visitor.#context = await browser.newContext({
      baseURL: origin,
      viewport: phone ? PHONE : DESKTOP,
      hasTouch: phone,
      colorScheme: "light",
      reducedMotion: "reduce",
      ...(session && { storageState: session }),
    });
    visitor.page = await visitor.#context.newPage();
    visitor.page.setDefaultTimeout(LIMIT_MS);
    visitor.#listen();
    return visitor;
  }

  #listen() {
    const { page } = this;
    const note = (problem) => this.#problems.push(problem.replaceAll(this.#origin, ""));
    page.on("console", (message) => message.type() === "error" && note(`console: ${message.text()} ${message.location().url}`));
    page.on("pageerror", (error) => note(`thrown: ${error.stack ?? error.message}`));
    page.on("response", (answer) => answer.status() >= 400 && note(`${answer.status()} ${answer.request().method()} ${answer.url()}`));
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText ?? "";
      // What a page that is left had still asked for is cancelled; nobody missed it.
      if (why !== "net::ERR_ABORTED") note(`failed: ${request.method()} ${request.url()} ${why}`);
    });
  }

  /** A problem of this kind must happen before the scene ends. */
  expects(...kinds) {
    this.#expected.push(...kinds);
  }

  /** Problems of this kind may happen in this scene. */
  tolerates(...kinds) {
    this.#tolerated.push(...kinds);
  }

  /** Ends a scene: whatever went wrong unannounced fails it, and so does what was announced and did not happen. */
  settleAccounts() {
    const [problems, expected, known] = [this.#problems, this.#expected, [...this.#expected, ...this.#tolerated]];
    [this.#problems, this.#expected, this.#tolerated] = [[], [], []];
    assert.deepEqual(problems.filter((problem) => !known.some((kind) => kind.test(problem))), [], "problems nobody expected");
    assert.deepEqual(expected.filter((kind) => !problems.some((problem) => kind.test(problem))), [], "expected problems that did not happen");
  }

  /** Cookies and storage, to open another window of the same person. */
  session() {
    return this.#context.storageState();
  }

  close() {
    return this.#context.close();
  }

  // What a person can point at.

  get log() {
    return this.page.getByRole("log", { name: "Conversation" });
  }

  get composer() {
    return this.page.getByLabel("Message", { exact: true });
  }

  get stopButton() {
    return this.page.getByRole("button", { name: "Stop (Esc)" });
  }

  get waiting() {
    return this.page.getByRole("region", { name: "Waiting messages" });
  }

  /** The card of a tool call by what it did to what, such as "Ran ls". */
  card(name) {
    return this.log.getByRole("region", { name });
  }

  // What a person does.

  /** Uses the link that Tandem printed, and waits for the next step. */
  async useLink(link) {
    await this.page.goto(link);
    await this.page.getByRole("heading", { name: "Choose a password" }).waitFor();
  }

  async choosePassword(password) {
    await this.page.getByLabel("Password", { exact: true }).fill(password);
    await this.page.getByLabel("Password again").fill(password);
    await this.page.getByRole("button", { name: "Set password" }).click();
    await this.page.getByRole("heading", { name: "Choose a model" }).waitFor();
  }

  async chooseDemo() {
    await this.page.getByRole("button", { name: /Try the demo model/ }).click();
    await this.page.getByRole("button", { name: "Use the demo model" }).click();
    await this.page.getByRole("heading", { name: "What shall we do?" }).waitFor();
  }

  async signIn(name, password) {
    await this.page.goto("/login");
    await this.page.getByLabel("User name or e-mail").fill(name);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
  }

  /** The first answer from `path` reaches the page only after something was posted to `other`. */
  async hearsLate(path, other) {
    const posted = this.page.waitForResponse((answer) => answer.request().method() === "POST" && answer.url().endsWith(other));
    await this.page.route(`**${path}`, async (route) => {
      const response = await route.fetch();
      await posted;
      await route.fulfill({ response });
    }, { times: 1 });
  }

  /** Types a message and sends it, or queues it while the agent is busy. */
  async say(message) {
    await this.composer.fill(message);
    // On a touch screen Enter is a new line, so the button it is.
    await this.page.getByRole("button", { name: /^(Send|Queue)$/ }).click();
    await until("the message has left the composer", async () => (await this.composer.inputValue()) === "");
  }

  /** Begins a chat with this message; its id. */
  async startChat(message) {
    // Nobody types faster than the page learns where new chats belong; before that it refuses to send.
    await Promise.all([this.page.waitForResponse((answer) => answer.url().endsWith("/organizations")), this.page.goto("/")]);
    await this.composer.fill(message);
    await this.page.getByRole("button", { name: "Send", exact: true }).click();
    await this.page.waitForURL(/\/chats\/[^/]+$/);
    return this.chatId();
  }

  chatId() {
    return new URL(this.page.url()).pathname.split("/").at(-1);
  }

  /** Waits until nothing is left to do in this chat, and the page says so: it shows the end of the answer and offers to send. */
  async answered(chatId = this.chatId()) {
    await until("the chat is at rest", async () => (await this.get(`/api/v1/chats/${chatId}`)).status === "waiting");
    const end = lastLine(words((await transcript(this, chatId)).at(-1))).slice(-END_LETTERS);
    await until(`the page shows "${end}"`, async () => essence(await this.conversation()).includes(end));
    await this.page.getByRole("button", { name: "Send", exact: true }).waitFor();
    await this.page.getByText("Live", { exact: true }).waitFor({ state: "attached" });
  }

  /** Everything the conversation shows. */
  conversation() {
    return this.log.innerText();
  }

  /** Which of these lines the conversation shows, in its order and as often as it shows them. */
  async linesShown(lines) {
    const shown = (await this.conversation()).split("\n").map((line) => line.trim());
    return shown.filter((line) => lines.includes(line));
  }

  /** Waits until the conversation is longer than `length` while the agent still works; its length then. */
  async growsBeyond(length) {
    const grown = await this.page.waitForFunction((beyond) => {
      const shown = document.querySelector("[role=log]")?.innerText.length ?? 0;
      return document.querySelector('button[aria-label^="Stop"]') && shown > beyond ? shown : 0;
    }, length);
    return grown.jsonValue();
  }

  /** What makes the page, or the conversation in it, wider than its box: empty when nothing does. */
  tooWide() {
    return this.page.evaluate(() => {
      // Whatever it takes to be hidden for the box to fit: hidden tooltips have no rectangle of their own.
      const widens = (box, element) => {
        const [width, display] = [box.scrollWidth, element.style.display];
        element.style.display = "none";
        const isNarrower = box.scrollWidth < width;
        element.style.display = display;
        return isNarrower;
      };
      const boxes = [document.documentElement, document.body, document.querySelector("main"), document.querySelector("[role=log]")];
      return boxes
        .filter((box) => box && box.scrollWidth > box.clientWidth)
        .map((box) => {
          const innermost = [...box.querySelectorAll("*")].filter((element) => widens(box, element)).at(-1);
          return `${box.scrollWidth} px in ${box.clientWidth}: ${innermost?.outerHTML.slice(0, 300)}`;
        });
    });
  }

  async shoot(name) {
    if (SHOTS) await this.page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }

  /** Keeps what the person saw when a scene failed; where. */
  async keepEvidence(directory, name) {
    const path = join(directory, `${name}.png`);
    await this.page.screenshot({ path, timeout: 5_000 });
    return path;
  }

  // What a program would find with the person's session.

  async get(path) {
    const answer = await this.page.request.get(path);
    assert.equal(answer.status(), 200, `GET ${path}: ${await answer.text()}`);
    return answer.json();
  }

  post(path, body) {
    return this.#send("POST", path, body);
  }

  put(path, body) {
    return this.#send("PUT", path, body);
  }

  patch(path, body) {
    return this.#send("PATCH", path, body);
  }

  async #send(method, path, body) {
    // The cookie counts only beside the origin that a browser's own requests name.
    const answer = await this.page.request.fetch(path, { method, data: body, headers: { origin: this.#origin } });
    assert.ok(answer.ok(), `${method} ${path}: ${answer.status()} ${await answer.text()}`);
    return answer.status() === 204 ? null : answer.json();
  }
}

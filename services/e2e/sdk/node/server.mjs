// Which server the tests talk to, and what they know of the model behind it.
//
// BASE_URL, TOKEN and MODEL name any server. With FAKE_LLM (the address of a fake LLM server, the one asked or the one behind the server
// asked) the tests also say what the model answers and look at what it was asked; without it, tests that need this are skipped. So are,
// without IS_TRANSLATED (the model's vendor speaks another dialect), those about what the fake has no words for.
import { randomUUID } from "node:crypto";
import { test } from "node:test";

export const BASE_URL = required("BASE_URL");
export const TOKEN = required("TOKEN");
export const MODEL = required("MODEL");
/** A model whose key may come to rest: no other test asks it. */
export const LIMITED_MODEL = process.env.LIMITED_MODEL ?? MODEL;
/** A model that may fail so often that it is left alone for a while. */
export const FAILING_MODEL = process.env.FAILING_MODEL ?? MODEL;
/** A model that reasons when asked to. */
export const REASONING_MODEL = process.env.REASONING_MODEL ?? MODEL;
const FAKE_LLM = process.env.FAKE_LLM;

/** For anything a server does by itself, on a busy machine. */
const LIMIT_MS = 30_000;
const LOOK_INTERVAL_MS = 20;

/** One pixel. */
export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** What every client is made with. A retry would hide what a test is about. */
export const OPTIONS = { maxRetries: 0, timeout: LIMIT_MS };

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: BASE_URL, TOKEN and MODEL say which server to test`);
  return value;
}

/** A test that any server passes. */
export function anywhere(name, play) {
  test(name, { timeout: 2 * LIMIT_MS }, play);
}

/** A test that tells the model what to answer; `play` gets a question of its own and the fake. */
export function scripted(name, play) {
  const skip = FAKE_LLM ? false : "FAKE_LLM is not set";
  test(name, { timeout: 2 * LIMIT_MS, skip }, () => play(new Fake(`What about ${randomUUID()}?`)));
}

/** A test as [scripted], of what only the server asked has words for, not the vendor behind it. */
export function translated(name, play) {
  if (process.env.IS_TRANSLATED) scripted(name, play);
  else test(name, { skip: "IS_TRANSLATED is not set" }, () => {});
}

/** The fake LLM server, as far as one question is concerned. */
export class Fake {
  constructor(question) {
    this.question = question;
    /** A gate of this question's own. */
    this.gate = randomUUID();
  }

  /** Answers the question with these replies, one after another. */
  async answers(...replies) {
    await this.#control("POST", "scripts", { matcher: { last_user_contains: this.question }, replies });
  }

  async openGate() {
    await this.#control("POST", `gates/${this.gate}/open`);
  }

  /** What the model was asked with this question, oldest first. */
  async asked() {
    const { requests } = await this.#control("GET", "requests");
    return requests.filter((request) => JSON.stringify(request.body).includes(this.question));
  }

  /** Waits until what the model was asked is as expected. */
  async until(what, isMet) {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const asked = await this.asked();
      if (isMet(asked)) return asked;
      if (Date.now() > deadline) throw new Error(`not within ${LIMIT_MS} ms: ${what}; asked was ${JSON.stringify(asked)}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
    }
  }

  async #control(method, path, body) {
    const answer = await fetch(new URL(`/__control/${path}`, FAKE_LLM), { method, ...(body && { body: JSON.stringify(body) }) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(`the fake LLM refuses ${path}: ${JSON.stringify(said)}`);
    return said;
  }
}

/** One reply made of pieces. */
export const reply = (...items) => ({ items });
export const text = (words) => ({ text: { text: words } });
export const thought = (words) => ({ reasoning: { text: words } });
export const gate = (name) => ({ gate: name });
export const call = (name, args) => ({ tool_call: { name, arguments: JSON.stringify(args) } });
/** The vendor's refusal. */
export const failure = (status, code, headers = {}) => ({ failure: { status, code, headers } });
/** An answer that breaks off after its first words, in all dialects. */
export const broken = () => ({ ...reply(text("one two three four five six seven eight nine ten")), error_event: { after_chunks: 6, code: "server_error" } });

/** Everything of a stream. */
export async function collect(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

/** Who speaks in a request of any dialect, instructions left out. */
export function turns(body) {
  const speakers = (body.messages ?? body.input).map(({ role }) => role);
  return speakers.filter((role) => role === "user" || role === "assistant");
}

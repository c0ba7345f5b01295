// The fake LLM server as a process beside Tandem, driven over its control endpoints. See services/e2e/src/fake_llm/control.rs.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { environment, sibling } from "./tandem.mjs";
import { until } from "./until.mjs";

const FIRST_LINE = /base_url=(\S+) api_key=(\S+)/;
export const MODEL = "fake-model";

export class FakeLlm {
  #child;
  baseUrl;
  apiKey;

  static async start(...options) {
    const fake = new FakeLlm();
    const child = spawn(sibling("fake-llm"), options, { env: environment(), stdio: ["ignore", "pipe", "ignore"] });
    fake.#child = child;
    process.on("exit", () => child.kill("SIGKILL"));
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
    });
    const [, baseUrl, apiKey] = await until("the fake LLM says where it is", () => FIRST_LINE.exec(said));
    return Object.assign(fake, { baseUrl, apiKey });
  }

  /** Answers the requests whose last user message contains `question` with these replies, one after another. */
  async script(question, ...replies) {
    await this.#control("POST", "scripts", { matcher: { last_user_contains: question }, replies });
  }

  async open(gate) {
    await this.#control("POST", `gates/${gate}/open`);
  }

  /** Refuses whatever is asked of `model` with this status, so many times. */
  async fail(model, status, times) {
    const failure = { status, code: "overloaded" };
    await this.#control("POST", "scripts", { matcher: { model }, replies: Array.from({ length: times }, () => ({ failure })) });
  }

  /** How the server treats the key from now on, such as `"valid"` or `"revoked"`. */
  async setKey(state, key = this.apiKey) {
    await this.#control("PUT", `keys/${key}`, state);
  }

  /** Every request for a completion so far, oldest first. One that the vendor would refuse is an error of Tandem's. */
  async completions() {
    const { requests } = await this.#control("GET", "requests");
    const asked = requests.filter((request) => request.path === "/v1/chat/completions");
    const refused = asked.flatMap((request) => request.rejection ?? []);
    if (refused.length > 0) throw new Error(`the fake LLM refused: ${refused.join("; ")}`);
    return asked;
  }

  async close() {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  async #control(method, path, body) {
    const url = new URL(`/__control/${path}`, this.baseUrl);
    const answer = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(`the fake LLM refuses ${path}: ${JSON.stringify(said)}`);
    return said;
  }
}

/** One reply made of pieces. */
export const reply = (...items) => ({ items });
export const text = (words) => ({ text: { text: words } });
export const gate = (name) => ({ gate: name });
export const call = (name, args) => ({ tool_call: { name, arguments: JSON.stringify(args) } });

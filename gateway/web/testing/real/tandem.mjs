// The program under test: the real binary with a data directory and a port of its own. Knows its environment, output and signals only.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { until } from "./until.mjs";

export const PROGRAM = process.env.TANDEM_BIN ?? join(homedir(), ".cache/tandem/target/debug/tandem");
/** Nothing of the developer's own settings may leak into a test. */
const KEPT_VARIABLES = ["PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE", "RUST_LOG"];
const LINK = /https?:\/\/\S+\/setup#code=\S+/;
const MAX_LOG_CHARS = 1 << 20;
const LOG_TAIL_CHARS = 3_000;
/** Below the range outgoing connections take their ports from: between a kill and the restart nobody else gets ours. */
const FIRST_PORT = 20_000;
const PORTS = 12_000;
const MAX_PORT_TRIES = 50;
/** An orderly stop drains for a while; past this it is a failure. */
const STOP_LIMIT_MS = 45_000;

/** Programs of the same build lie beside the one under test. */
export function sibling(name) {
  return join(dirname(PROGRAM), name);
}

export function environment() {
  return Object.fromEntries(KEPT_VARIABLES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

export class Tandem {
  #child = null;
  #log = "";
  #directory;
  #port;
  #more = {};

  /** `more`: variables of the environment beside the usual ones. */
  static async create(more = {}) {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: build it with \`make binaries\`, or name another in TANDEM_BIN`);
    const tandem = new Tandem();
    tandem.#more = more;
    tandem.#directory = await mkdtemp(join(tmpdir(), "tandem-browser-"));
    // Where root runs the test, the database runs as another user, who must get through.
    await chmod(tandem.#directory, 0o755);
    tandem.#port = await freePort();
    // Not even a test that is killed leaves its processes behind.
    process.on("exit", () => tandem.#child?.kill("SIGKILL"));
    return tandem;
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get dataDirectory() {
    return join(this.#directory, "data");
  }

  /** Starts on the same data and port as before, and waits until everything is ready. */
  async start() {
    // Titles would be asked for with the very words that cue the model's lines.
    const silent = { TANDEM_ORCHESTRATOR__SIDE_JOBS__TITLES: "false", TANDEM_ORCHESTRATOR__SIDE_JOBS__SUMMARIES: "false" };
    const env = { ...environment(), ...silent, ...this.#more, TANDEM_DATA_DIR: this.dataDirectory, TANDEM_LISTEN: `127.0.0.1:${this.#port}` };
    const child = spawn(PROGRAM, ["serve"], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8");
      output.on("data", (text) => {
        this.#log = (this.#log + text).slice(-MAX_LOG_CHARS);
      });
    }
    await until("Tandem is ready", async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Tandem ended by itself\n${this.logTail()}`);
      const answer = await fetch(`${this.origin}/readyz`).catch(() => null);
      return answer?.status === 200;
    });
    const page = await fetch(this.origin);
    if (!page.ok) throw new Error(`the web UI is not served (status ${page.status}): build it with \`make web\``);
  }

  /** The one-time link it printed. */
  link() {
    return until("Tandem prints the sign-in link", () => LINK.exec(this.#log)?.[0]);
  }

  /** Where the only file of this name in any workspace is, once it is there. */
  async fileInWorkspaces(name) {
    const root = join(this.dataDirectory, "workspaces");
    const found = await until(`a workspace has ${name}`, async () => {
      const paths = await readdir(root, { recursive: true }).catch(() => []);
      const matching = paths.filter((path) => basename(path) === name);
      return matching.length > 0 && matching;
    });
    if (found.length > 1) throw new Error(`more than one ${name}: ${found.join(", ")}`);
    return join(root, found[0]);
  }

  /** `kill -9`, and waits until the process is gone. */
  async kill9() {
    const child = this.#child;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** An orderly end, and nothing left on the disk. */
  async close() {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit", { signal: AbortSignal.timeout(STOP_LIMIT_MS) });
      child.kill("SIGTERM");
      await gone.catch(() => child.kill("SIGKILL"));
    }
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  logTail() {
    return `--- end of Tandem's log ---\n${this.#log.slice(-LOG_TAIL_CHARS)}\n---`;
  }
}

async function freePort() {
  for (let tries = 0; tries < MAX_PORT_TRIES; tries += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(() => true, () => false);
    if (isFree) {
      server.close();
      await once(server, "close");
      return port;
    }
  }
  throw new Error(`no free port from ${FIRST_PORT} on after ${MAX_PORT_TRIES} tries`);
}

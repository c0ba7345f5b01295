// A workspace on a host of somebody's own: its agent dials in, its network is cut in the middle of a command, and it comes back.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, reply, text } from "../real/fake-llm.mjs";
import { environment, PROGRAM } from "../real/tandem.mjs";
import { until } from "../real/until.mjs";
import { beside, withTandem } from "./stage.mjs";

const LISTEN_PORT = 17_090;
const QUESTION = "Build it on my machine.";
const COMMAND = 'echo "building on $(basename $PWD)"; touch begun; until [ -e go ]; do sleep 0.1; done; echo "built"';

/** The network between the host and Tandem: a cable that can be pulled. */
class Cable {
  #server;
  #open = new Set();
  #isCut = false;

  static async lay(port) {
    const cable = new Cable();
    cable.#server = createServer((near) => cable.#join(near, port)).listen(0, "127.0.0.1");
    await once(cable.#server, "listening");
    return cable;
  }

  get address() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  #join(near, port) {
    if (this.#isCut) return near.destroy();
    const far = connect(port, "127.0.0.1");
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#open.add(one);
      one.pipe(other);
      one.on("error", () => undefined).on("close", () => (this.#open.delete(one), other.destroy()));
    }
    return undefined;
  }

  cut() {
    this.#isCut = true;
    for (const socket of this.#open) socket.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  remove() {
    this.cut();
    this.#server.close();
  }
}

export const host = (browser, shoot) =>
  withTandem(browser, { TANDEM_TOOL_RUNNER__AGENT__LISTEN: `http://127.0.0.1:${LISTEN_PORT}`, TANDEM_TOOL_RUNNER__AGENT__URL: "https://agents.tandem.example" }, async ({ fake, visitor, page }) => {
    const template = await visitor.post("/api/v1/templates", { name: "my-host", display_name: "A host of my own", spec: { backend: "external" } });
    const workspace = await visitor.post("/api/v1/workspaces", { template_id: template.id, name: "laptop" });
    const states = (status) => until(`the agent is ${status}`, async () => (await visitor.get(`/api/v1/workspaces/${workspace.id}`)).agent.status === status);
    await states("connecting");
    await page.goto(`/settings/workspaces/${workspace.id}`);
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.getByText("tandem agent --url").waitFor();
    await shoot(page, "host-1-command");
    const token = /tandem_agent_\S+/.exec(await page.getByText("tandem agent --url").innerText())[0];

    const away = await mkdtemp(join(tmpdir(), "tandem-tour-host-"));
    const home = join(away, "laptop");
    await mkdir(home);
    const cable = await Cable.lay(LISTEN_PORT);
    const agent = spawn(PROGRAM, ["agent", "--url", cable.address, "--dir", home], { env: { ...environment(), TANDEM_AGENT_TOKEN: token }, stdio: "ignore" });
    const gone = once(agent, "exit");
    try {
      await states("connected");
      await fake.script(QUESTION, reply(call("execute", { command: COMMAND })), reply(text("It is built.")));
      const [organization] = await visitor.get("/api/v1/organizations");
      const chat = await visitor.post("/api/v1/chats", { organization_id: organization.id, workspace_id: workspace.id, content: [{ type: "text", text: QUESTION }] });
      await page.goto(`/chats/${chat.id}`);
      const panel = await beside(page, "Workspace");
      await visitor.card(/^Running/).getByLabel("Output").getByText("building on laptop").waitFor();
      await panel.getByText("Running", { exact: true }).waitFor();
      cable.cut();
      await panel.getByText("Its host is offline").waitFor();
      await shoot(page, "host-2-offline");
      await writeFile(join(home, "go"), "");
      cable.mend();
      await panel.getByText("Running", { exact: true }).waitFor();
      await visitor.log.getByText("It is built.").waitFor();
      await visitor.answered();
      await visitor.card(/^Ran/).getByRole("button").first().click();
      await until("the output is whole", async () => (await visitor.card(/^Ran/).getByLabel("Output").innerText()).trim().endsWith("built"));
      await shoot(page, "host-3-back");
    } finally {
      agent.kill("SIGTERM");
      await gone;
      cable.remove();
      await rm(away, { recursive: true, force: true });
    }
  });

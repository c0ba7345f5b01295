// Checks in a real browser against the stub server of MCP servers: how they are set up, tried and removed, accounts of users, which a
// chat uses, and how their calls look. Usage: node testing/browser-mcp.mjs (needs dist/ and Chromium)
import { createRequire } from "node:module";
import { ask, check, composer, end, expect, idle } from "./check.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PHONE = { viewport: { width: 380, height: 800 }, hasTouch: true };
const FINGER_PX = 44;
const SOME = { PROVIDERS: "1", MCP: "1" };
const get = async (page, path) => (await page.request.get(`/api/v1${path}`)).json();
const serverNamed = async (page, slug) => (await get(page, "/mcp/servers")).find((server) => server.slug === slug);
const until = async (what, truth) => {
  for (let tries = 0; tries < 50; tries += 1) {
    if (await truth()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} never came true`);
};
const open = async (page, name) => {
  await page.goto("/settings/mcp");
  await page.getByRole("link", { name: new RegExp(`^${name}`) }).click();
  await page.getByRole("heading", { name }).waitFor();
};
const save = async (page) => {
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved", { exact: true }).waitFor();
};
const picker = (page) => page.getByRole("button", { name: /^MCP/ });
const choice = (page, name) => page.getByRole("menuitemcheckbox", { name: new RegExp(`^${name}`) });

await check("the list says of each server where it is, which chats use it and how it does", SOME, async (page) => {
  await page.goto("/settings/mcp");
  const row = (name) => page.getByRole("listitem").filter({ hasText: name });
  await row("Handbook").getByText("Works").waitFor();
  const text = (name) => row(name).innerText().then((all) => all.replaceAll("\n", " | "));
  expect(/Streamable HTTP · https:\/\/docs\.example\.com\/mcp \| In every chat \| Works · 4 tools · answered in 84 ms · 4m/.test(await text("Handbook")), await text("Handbook"));
  expect(/Not connected .* On, unless left out .* Not tried yet/.test(await text("Issue tracker")), await text("Issue tracker"));
  expect(/Does not answer: no answer within 10 s/.test(await text("Warehouse")), await text("Warehouse"));
  expect(!/Works|answer|tried/.test(await text("Old wiki")), "one that is off says how it does");
  await page.getByRole("button", { name: "Actions for Handbook" }).click();
  await page.getByRole("menuitem", { name: "Test" }).click();
  await row("Handbook").getByText("answered in 96 ms").waitFor();
});

await check("a server is added, tried at once, and its secret is nowhere to be seen again", SOME, async (page) => {
  await page.goto("/settings/mcp");
  await page.getByRole("link", { name: "Add" }).click();
  const add = page.getByRole("button", { name: "Add server" });
  expect(await add.isDisabled(), "nothing can be added");
  await page.getByLabel("Name", { exact: true }).fill("Handbook");
  await page.getByLabel("Address", { exact: true }).fill("https://locked.example.com/mcp");
  await page.getByRole("combobox", { name: "Kind" }).selectOption("api_key");
  expect(await add.isDisabled(), "it can be added without its key");
  await page.getByLabel("Value", { exact: true }).fill("Bearer secret-1234");
  await add.click();
  await page.getByText("Another MCP server has that short name.").waitFor();
  await page.getByLabel("Short name").fill("builds");
  await page.getByLabel("Name", { exact: true }).fill("Build machines");
  await page.getByRole("radio", { name: "On, unless left out" }).check();
  await add.click();
  await page.getByText("Works", { exact: true }).waitFor();
  expect((await page.getByRole("list", { name: "Offered by the server" }).getByRole("listitem").count()) === 4, "its tools are not listed");
  const made = await serverNamed(page, "builds");
  expect(made.has_api_key && made.availability === "default_on" && made.enabled && made.transport === "streamable_http", JSON.stringify(made));
  expect(!(await page.content()).includes("secret-1234"), "the page holds the secret");
});

await check("what speaks of accounts is found out, or the reason why not is said", SOME, async (page) => {
  await page.goto("/settings/mcp/new");
  await page.getByLabel("Name", { exact: true }).fill("Calendar");
  await page.getByLabel("Address", { exact: true }).fill("https://locked.example.com/mcp");
  await page.getByRole("combobox", { name: "Kind" }).selectOption("oauth2");
  await page.getByRole("button", { name: "Add server" }).click();
  await page.getByText("the server does not say where accounts live").waitFor();
  await page.getByLabel("Address", { exact: true }).fill("https://calendar.example.com/mcp");
  await page.getByRole("button", { name: "Add server" }).click();
  await page.getByText("It answers you once your account is connected.").waitFor();
  expect((await page.getByLabel("Client id").inputValue()) === "registered-1", "the client is not shown");
});

await check("tools are left out, secrets replaced and taken back, and what was not typed stays", SOME, async (page) => {
  await open(page, "Handbook");
  await page.getByRole("button", { name: "Test now" }).click();
  await page.getByRole("checkbox", { name: "delete_project" }).uncheck();
  await page.getByText("3 of 4 for chats").waitFor();
  await save(page);
  await page.getByText("2 tools").waitFor();
  let stored = await serverNamed(page, "handbook");
  expect(stored.tool_deny_list.join() === "delete_project" && stored.has_api_key, JSON.stringify(stored));
  await page.getByLabel("Address", { exact: true }).fill("https://elsewhere.example.com/mcp");
  await page.getByText("The address is another place. Type the key again.").waitFor();
  expect(await page.getByRole("button", { name: "Save", exact: true }).isDisabled(), "the key can be sent elsewhere");
  await page.getByRole("combobox", { name: "Kind" }).selectOption("none");
  await save(page);
  stored = await serverNamed(page, "handbook");
  expect(!stored.has_api_key && stored.url === "https://elsewhere.example.com/mcp", JSON.stringify(stored));
  await page.getByRole("switch", { name: "In use" }).click();
  await until("off", async () => !(await serverNamed(page, "handbook")).enabled);
  await page.getByRole("button", { name: "Remove Handbook…" }).click();
  await page.getByRole("button", { name: "Remove it" }).click();
  await page.getByText("Handbook is removed").waitFor();
  expect((await serverNamed(page, "handbook")) === undefined, "it is still there");
});

await check("an account is connected in a window of its own and disconnected again, by somebody who is no administrator", { ...SOME, MEMBER: "1" }, async (page) => {
  await page.goto("/settings/mcp");
  await page.getByText("Not connected").waitFor();
  expect(!(await page.locator("main").innerText()).includes("example.com"), "addresses are shown");
  const popup = page.waitForEvent("popup");
  await page.getByRole("button", { name: "Connect your account at Issue tracker" }).click();
  await popup;
  await page.getByText("Your account at Issue tracker is connected").waitFor();
  await page.getByRole("button", { name: "Disconnect your account at Issue tracker" }).click();
  await page.getByText("Not connected").waitFor();
  await page.goto("/settings/mcp/018f6d2e-0000-7000-8000-000000000001");
  await page.getByText("Only administrators see how").waitFor();
});

await check("a new chat begins with what is on, and a change of it goes along with the next message", { ...SOME, SPEED: "8" }, async (page) => {
  const named = async () => (await get(page, `/chats/${page.url().split("/").pop()}`)).mcp_server_ids.length;
  await page.goto("/");
  await picker(page).waitFor();
  expect((await picker(page).getAttribute("aria-label")) === "MCP: 2 servers, Handbook, Issue tracker", await picker(page).getAttribute("aria-label"));
  await picker(page).click();
  expect(await choice(page, "Handbook").isDisabled(), "what every chat uses can be switched off");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  expect((await choice(page, "Warehouse").getAttribute("aria-checked")) === "true", "the space bar does not switch");
  expect(await choice(page, "Warehouse").evaluate((item) => item === document.activeElement), "the focus is lost");
  await page.keyboard.press("Escape");
  expect(await picker(page).evaluate((button) => button === document.activeElement), "the focus does not come back");
  await ask(page, "Explain what you can do");
  await idle(page);
  expect((await named()) === 2, `${await named()} are named`);
  const bodies = [];
  page.on("request", (request) => void (request.method() === "POST" && request.url().endsWith("/messages") && bodies.push(request.postDataJSON())));
  const say = async (text) => {
    await composer(page).fill(text);
    await page.keyboard.press("Enter");
    await until("sending", async () => (await composer(page).inputValue()) === "");
    await idle(page);
  };
  await say("Explain it once more");
  await picker(page).click();
  await page.getByText("from your next message on").waitFor();
  await choice(page, "Issue tracker").click();
  await page.keyboard.press("Escape");
  expect((await page.getByText("needs an account of yours").count()) === 0, "it asks for an account that is not needed");
  await say("And again");
  await say("And a last time");
  expect(bodies.map((body) => body.mcp_server_ids?.length ?? "none").join() === "none,1,none", JSON.stringify(bodies));
  await page.reload();
  await picker(page).waitFor();
  await until("the choice after a reload", async () => (await picker(page).getAttribute("aria-label")) === "MCP: 2 servers, Handbook, Warehouse");
});

await check("an account is connected from the chat", SOME, async (page) => {
  await page.goto("/");
  await page.getByText("Issue tracker needs an account of yours.").waitFor();
  const popup = page.waitForEvent("popup");
  await page.getByRole("button", { name: "Connect your account at Issue tracker" }).click();
  await popup;
  await page.getByText("Issue tracker needs an account of yours.").waitFor({ state: "detached" });
});

await check("calls tell the tool, the server and in the model's words what for, live and after a reload", { ...SOME, SPEED: "3" }, async (page) => {
  await page.goto("/");
  await ask(page, "What does the tracker say?");
  await page.getByRole("status").getByText("Looking for open issues about the nightly build").or(page.getByText("Running 2 tools")).first().waitFor();
  await idle(page);
  for (const when of ["live", "reloaded"]) {
    const card = page.getByRole("region", { name: /^Search issues/ });
    await card.getByText("Issue tracker").waitFor();
    await card.getByText("Looking for open issues about the nightly build").waitFor();
    await card.getByRole("button", { expanded: false }).click();
    const sent = await card.getByRole("region", { name: "Arguments" }).innerText();
    expect(sent.includes("nightly build") && !sent.includes("model_intent"), `${when}: ${sent}`);
    await card.getByRole("region", { name: "Result" }).getByText("Nightly build times out on arm64").waitFor();
    await page.getByRole("region", { name: /^Create issue/ }).getByText("You may not open issues").waitFor();
    expect((await page.getByRole("region", { name: /^Fetch page/ }).locator("img").getAttribute("src")) === "/favicon.svg", "the picture is missing");
    await page.reload();
  }
});

await check("a server that knows no MCP servers shows nothing of them", { PROVIDERS: "1", OLD: "1", SPEED: "8" }, async (page) => {
  let asked = 0;
  page.on("request", (request) => void (asked += Number(request.url().endsWith("/mcp/servers"))));
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  expect((await picker(page).count()) === 0, "there is something to choose");
  expect(asked <= 2, `asked ${asked} times`);
  await page.goto("/settings/mcp");
  await page.getByText("This server does not know MCP servers yet.").waitFor();
});

await check("who is no administrator sees no page for servers that are not there", { PROVIDERS: "1", MEMBER: "1" }, async (page) => {
  await page.goto("/settings/models");
  await page.getByRole("navigation", { name: "Settings" }).getByText("Your usage").waitFor();
  expect((await page.getByRole("navigation", { name: "Settings" }).getByText("MCP servers").count()) === 0, "there is a page");
});

const PLACES = {
  list: (page) => page.goto("/settings/mcp"),
  server: async (page) => {
    await open(page, "Issue tracker");
    await page.getByRole("radio", { name: "Only some" }).click();
  },
  tools: async (page) => {
    await open(page, "Handbook");
    await page.getByRole("button", { name: "Test now" }).click();
    await page.getByRole("list", { name: "Offered by the server" }).waitFor();
  },
  new: async (page) => {
    await page.goto("/settings/mcp/new");
    await page.getByRole("combobox", { name: "Kind" }).selectOption("custom_headers");
  },
  choice: async (page) => {
    await page.goto("/");
    await page.getByText("needs an account").waitFor();
    await picker(page).click();
  },
  calls: async (page) => {
    await page.goto("/");
    await page.getByLabel("Message", { exact: true }).fill("What does the tracker say?");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.waitForURL(/\/chats\//);
    await idle(page);
    await page.getByRole("region", { name: /^Search issues/ }).getByRole("button", { expanded: false }).click();
  },
};
await check("a tool that is no longer what it was is shown before and after, and offered again once accepted", SOME, async (page) => {
  await open(page, "Handbook");
  await page.getByRole("button", { name: "Test now" }).click();
  const changed = page.getByRole("region", { name: "Changed tools" });
  await changed.getByText("copy the reporter's password").waitFor();
  await changed.getByText("Writes below an issue.", { exact: true }).waitFor();
  await changed.getByRole("button", { name: "Accept add_comment" }).click();
  await changed.waitFor({ state: "detached" });
});

for (const [where, prepare] of Object.entries(PLACES)) {
  for (const scheme of ["light", "dark"]) {
    await check(`axe, fingers, and nothing wider than a phone: ${where}, ${scheme}`, { ...SOME, SPEED: "8" }, async (page) => {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await prepare(page);
      await page.waitForTimeout(500);
      const wide = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll("main, main > div")].filter((box) => box.scrollWidth > box.clientWidth).map((box) => `${box.tagName} ${box.className} ${box.scrollWidth}`));
      expect(wide.length === 0, `wider than the page: ${wide.join("; ")}`);
      const small = await page.evaluate((least) => {
        const heightOf = (element) => Math.max(element.getBoundingClientRect().height, parseFloat(getComputedStyle(element, "::after").height) || 0);
        const all = [...document.querySelectorAll(":is(main, [role=menu]) :is(button, a, input:not([type=checkbox], [type=radio]), label:has(input), select, textarea, summary)")].filter((element) => element.getClientRects().length > 0);
        return all.filter((element) => heightOf(element) < least - 0.5).map((element) => `${element.textContent || element.getAttribute("aria-label")} ${heightOf(element)}`);
      }, FINGER_PX);
      expect(small.length === 0, `too small for a finger: ${small.join("; ")}`);
      await page.addScriptTag({ path: AXE });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
      expect(serious.length === 0, serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")}`).join("; "));
    }, { ...PHONE, bypassCSP: true });
  }
}
await end();

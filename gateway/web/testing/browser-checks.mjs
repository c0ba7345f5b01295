// Checks in a real browser against the stub server, without pictures: a cut stream ends with the server's text, a long chat
// opens at its end, and axe finds nothing serious. Usage: node testing/browser-checks.mjs (needs dist/ and Chromium)
import { createRequire } from "node:module";
import { ask, check, composer, end, expect, idle, shown } from "./check.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const plain = (text) => text.replaceAll(/[\s`*>#|-]/g, "");

await check("a stream that is cut three times ends with exactly the server's text", { SPEED: "1.5" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  for (let n = 0; n < 3; n += 1) {
    await page.waitForTimeout(500);
    await page.request.post("/api/v1/stub/cut");
  }
  await page.getByText("tell me what it says").last().waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 20_000 });
  const chatId = page.url().split("/").pop();
  const { messages } = await (await page.request.get(`/api/v1/chats/${chatId}/messages`)).json();
  const answer = messages.find((m) => m.role === "assistant").content.find((p) => p.type === "text").text;
  const page1 = plain(await shown(page));
  expect(page1.split(plain(answer)).length === 2, "the answer is not on the page exactly once");
});

await check("stop keeps what was written, and a reload shows the same", { SPEED: "1" }, async (page) => {
  await page.goto("/");
  await ask(page, "Show me some markdown");
  await page.getByText("Every turn has").waitFor();
  await page.getByLabel("Message", { exact: true }).press("Escape");
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  const before = await shown(page);
  await page.reload();
  await page.getByText("Every turn has").waitFor();
  expect(plain(await shown(page)) === plain(before), "the page differs after a reload");
});

await check("text survives a failed send", { FAIL_SEND: "1" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await page.getByRole("button", { name: "Send", exact: true }).waitFor({ timeout: 20_000 });
  await page.getByLabel("Message", { exact: true }).fill("precious");
  await page.keyboard.press("Enter");
  await page.getByText("Not sent. Your text is still here.").waitFor();
  expect((await page.getByLabel("Message", { exact: true }).inputValue()) === "precious", "the text is gone");
});

await check("a chat of 10,000 messages opens at its end, and older pages load upwards without a jump", {}, async (page) => {
  await page.goto("/");
  const { id } = await (await page.request.post("/api/v1/stub/long", { data: { messages: 10_000 } })).json();
  const started = Date.now();
  await page.goto(`/chats/${id}`);
  await page.getByText("Message 9999").waitFor();
  process.stdout.write(`      (opened in ${Date.now() - started} ms, load included)\n`);
  const box = page.locator("[role=log]");
  const gap = () => box.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight);
  expect((await gap()) < 3, `not at the end: ${await gap()} px away`);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  expect(nodes < 2_000, `${nodes} elements on the page`);
  for (let n = 0; n < 40; n += 1) {
    await box.evaluate((e) => e.scrollBy(0, -900));
    await page.waitForTimeout(40);
  }
  const top = Number(/Message (\d+)/.exec(await shown(page))?.[1]);
  expect(top < 9_900, `still at message ${top}`);
});

await check("everything can be done by keyboard", { SEED: "1" }, async (page) => {
  await page.goto("/");
  await page.getByText("What shall we do?").waitFor();
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Search chats and actions").waitFor();
  await page.keyboard.type("release notes");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/chats\//);
  await page.getByRole("heading", { name: /release notes/ }).waitFor();
  await page.getByRole("button", { name: "More", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("list").getByText("release notes").first().waitFor();
  expect((await page.getByRole("heading", { name: "Pinned" }).count()) === 1, "not pinned");
});

const sentTexts = async (page) => {
  const { messages } = await (await page.request.get(`/api/v1/chats/${page.url().split("/").pop()}/messages`)).json();
  return messages.filter((m) => m.role === "user").map((m) => m.content[0].text).toReversed();
};

await check("a message whose confirmation gets lost is there once when it is sent again under its key", { SPEED: "4", LOSE_ANSWERS: "1" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  // A stream that says nothing, so that the page cannot learn of the message in any other way.
  await page.routeWebSocket(/\/stream/, () => undefined);
  await page.reload();
  await composer(page).fill("Explain it again");
  await page.keyboard.press("Enter");
  await page.getByText("No answer from the server").waitFor();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("composer")?.value === "", null, { timeout: 10_000 });
  const texts = await sentTexts(page);
  expect(texts.join("|") === "Explain what you can do|Explain it again", texts.join("|"));
});

await check("a message whose confirmation gets lost leaves the field by itself when the chat tells of it", { SPEED: "4", LOSE_ANSWERS: "1", NO_KEYS: "1" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  await composer(page).fill("Explain it again");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("composer")?.value === "", null, { timeout: 10_000 });
  await page.reload();
  await page.getByText("Explain it again").first().waitFor();
  expect((await composer(page).inputValue()) === "", "the text came back");
  expect((await sentTexts(page)).length === 2, "sent twice");
});

await check("a wait for another attempt looks the same after a reload", {}, async (page) => {
  await page.goto("/");
  await ask(page, "Please retry");
  await page.getByText("Attempt 3").waitFor({ timeout: 20_000 });
  await page.reload();
  await page.getByText("Attempt 3").waitFor();
  expect(/in \d+ s/.test(await shown(page)), "no seconds");
});

await check("a failed turn is retried in its place, also after a reload", { SPEED: "4" }, async (page) => {
  await page.goto("/");
  await ask(page, "This will fail");
  await page.getByText("rejected the API key").waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByText("tell me what it says").waitFor({ timeout: 20_000 });
  expect((await sentTexts(page)).length === 1, "the message was sent again");
});

await check("waiting messages are sorted by dragging and by keys, and given other words", { SPEED: "2" }, async (page) => {
  await page.goto("/");
  await ask(page, "Run the slow build");
  await page.getByText("crate-02").waitFor({ timeout: 20_000 });
  for (const text of ["alpha", "beta", "gamma"]) await ask(page, text);
  const rows = page.getByRole("region", { name: "Waiting messages" }).getByRole("listitem");
  const order = async () => (await rows.allInnerTexts()).map((text) => text.trim()).join();
  await page.getByText("3 waiting").waitFor();
  const box = async (n) => rows.nth(n).getByRole("button", { name: /^Place/ }).boundingBox();
  const [first, last] = [await box(0), await box(2)];
  await page.mouse.move(first.x + 8, first.y + 8);
  await page.mouse.down();
  await page.mouse.move(first.x + 8, last.y + 12, { steps: 6 });
  await page.mouse.up();
  expect((await order()) === "beta,gamma,alpha", await order());
  await page.waitForTimeout(300);
  const handle = rows.nth(2).getByRole("button", { name: /^Place/ });
  await handle.focus();
  await page.keyboard.press("ArrowUp");
  await page.waitForTimeout(300);
  await page.keyboard.press("ArrowUp");
  await page.waitForTimeout(300);
  expect((await order()) === "alpha,beta,gamma", await order());
  await rows.nth(1).getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("New text of the waiting message").fill("better");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(500);
  expect((await order()) === "alpha,better,gamma", await order());
  await page.reload();
  await page.getByText("3 waiting").waitFor();
  expect((await order()) === "alpha,better,gamma", `after a reload: ${await order()}`);
});

await check("an edited message takes the place of what followed", { SPEED: "6" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  await ask(page, "Explain it again");
  await idle(page);
  const first = page.locator("[data-walk=message]").first();
  await page.locator("[role=log]").evaluate((log) => log.scrollTo(0, 0));
  await first.hover();
  await first.getByRole("button", { name: "Edit message" }).click();
  await page.getByText("Removes 1 message and 2 answers below").waitFor();
  await page.getByLabel("New text").fill("Explain it in other words");
  await page.keyboard.press("Control+Enter");
  await page.getByLabel("New text").waitFor({ state: "detached" });
  await idle(page);
  const texts = await sentTexts(page);
  expect(texts.join("|") === "Explain it in other words", texts.join("|"));
  expect(!(await shown(page)).includes("Explain it again"), "what followed is still shown");
});

await check("commands after a slash: a summary in its place, and a memory cleared", { SPEED: "6" }, async (page) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  await composer(page).fill("/co");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: /The conversation was summarized/ }).click();
  await page.getByText("What the model remembers").waitFor();
  await composer(page).fill("/");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.getByText("The model has forgotten everything above").waitFor();
  expect((await sentTexts(page)).length === 1, "a command was sent as a message");
});

await check("a server that lacks the newest routes is told apart from a failure", { OLD: "1", SPEED: "4" }, async (page) => {
  await page.goto("/");
  await ask(page, "This will fail");
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByText("tell me what it says").waitFor({ timeout: 20_000 });
  await composer(page).fill("/clear");
  await page.keyboard.press("Enter");
  await page.getByText("This server does not know the command.").waitFor();
});

await check("a large picture is scaled down before it is uploaded", { SPEED: "4" }, async (page) => {
  await page.goto("/");
  const bytes = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 4_000, height: 3_000 });
    canvas.getContext("2d").fillRect(0, 0, 2_000, 3_000);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  await page.getByLabel("Choose files").setInputFiles({ name: "desk.png", mimeType: "image/png", buffer: Buffer.from(bytes) });
  await page.getByText("Scaled to 2000 × 1500").waitFor();
  await ask(page, "Explain what you can do");
  await idle(page);
  const size = await page.getByRole("img", { name: "desk.png" }).evaluate((img) => [img.naturalWidth, img.naturalHeight].join());
  expect(size === "2000,1500", size);
});

await check("the list by keyboard: walking, renaming, archiving a family and restoring it", { SEED: "1" }, async (page) => {
  await page.goto("/");
  await page.getByRole("link", { name: /release notes/ }).waitFor();
  await composer(page).blur();
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
  await page.keyboard.press("j");
  expect((await focused()).includes("billing tables"), await focused());
  for (let n = 0; n < 3; n += 1) await page.keyboard.press("j");
  expect((await focused()).includes("release notes"), await focused());
  await page.keyboard.press("F2");
  await page.keyboard.type("Notes for 0.4");
  await page.keyboard.press("Enter");
  const notes = page.getByRole("link", { name: /Notes for 0\.4/ });
  await notes.waitFor();
  await page.waitForFunction(() => document.activeElement?.textContent?.includes("Notes for 0.4"));
  await page.keyboard.press("p");
  await page.waitForFunction(() => document.activeElement?.closest("section")?.getAttribute("aria-label") === "Pinned");
  await page.keyboard.press("e");
  await page.getByText("Archived “Notes for 0.4” and its 2 sub-chats").waitFor();
  expect((await page.getByRole("link", { name: /Collect merged/ }).count()) === 0, "a sub-chat stayed");
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("link", { name: /Collect merged/ }).waitFor();
  await page.getByLabel("Search chats").fill("archived:true old");
  await page.getByRole("link", { name: /Old experiments/ }).waitFor();
  await page.getByText("1 chat", { exact: true }).waitFor();
});

for (const scheme of ["light", "dark"]) {
  for (const [where, prepare] of [
    ["the empty page", async (page) => page.goto("/")],
    ["a conversation", async (page) => {
      await page.goto("/");
      await ask(page, "Create hello.txt with a haiku");
      await page.getByText("both tests pass").first().waitFor({ timeout: 20_000 });
    }],
    ["an error", async (page) => {
      await page.goto("/");
      await ask(page, "This will fail");
      await page.getByText("rejected the API key").waitFor();
    }],
    ["coloured code", async (page) => {
      await page.goto("/");
      await ask(page, "Show me some code");
      await page.locator(".tok-keyword").first().waitFor({ timeout: 20_000 });
      await idle(page);
    }],
    ["lost outcomes and a summary", async (page) => {
      await page.goto("/");
      await ask(page, "See what gets lost");
      await idle(page);
      await composer(page).fill("/compact");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: /The conversation was summarized/ }).click();
    }],
    ["waiting messages and commands", async (page) => {
      await page.goto("/");
      await ask(page, "Run the slow build");
      for (const text of ["alpha", "beta"]) await ask(page, text);
      await page.getByText("2 waiting").waitFor();
      await page.getByRole("region", { name: "Waiting messages" }).getByRole("button", { name: "Edit" }).first().click();
      await composer(page).fill("/");
    }],
    ["labels", async (page) => {
      await page.goto("/");
      await page.getByRole("button", { name: "Actions for Migrate the billing tables" }).click();
      await page.getByRole("menuitem", { name: "Labels" }).click();
      await page.getByLabel("New label").waitFor();
    }],
    ["the settings", async (page) => page.goto("/settings/models")],
    ["users", async (page) => {
      await page.goto("/settings/users");
      await page.getByRole("button", { name: "Add" }).click();
    }],
  ]) {
    await check(`axe: ${where}, ${scheme}`, { SEED: "1", SPEED: "4" }, async (page) => {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await prepare(page);
      await page.waitForTimeout(500);
      await page.addScriptTag({ path: AXE });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
      const text = serious.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(" ")} [${n.any.map((a) => a.message).join("; ").slice(0, 200)}]`).slice(0, 3).join(", ")}`).join("\n      ");
      expect(serious.length === 0, text);
    }, { bypassCSP: true });
  }
}
await end();

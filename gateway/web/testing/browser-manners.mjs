// Checks of manners in a real browser against the stub server: where the focus goes, what a finger can hit, what is seen first,
// what a button promises. Usage: node testing/browser-manners.mjs (needs dist/ and Chromium)
import { ask, check, composer, end, expect, idle } from "./check.mjs";

const PHONE = { viewport: { width: 380, height: 800 }, hasTouch: true };
/** The least height of what is hit with a finger, in pixels. */
const FINGER_PX = 44;

const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute("aria-label") || document.activeElement?.tagName);
/** The focus is given once the page is drawn again. */
const inComposer = async (page, after) => {
  await page.waitForFunction(() => document.activeElement?.id === "composer", null, { timeout: 2_000 }).catch(async () => {
    throw new Error(`after ${after} the focus is on ${await focused(page)}`);
  });
};

await check("the focus is in the message field again after sending, stopping, giving up and closing", { SEED: "1", SPEED: "2" }, async (page) => {
  await page.goto("/");
  await page.getByText("What shall we do?").waitFor();
  await inComposer(page, "loading");
  await composer(page).fill("Explain what you can do");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.waitForURL(/\/chats\//);
  await inComposer(page, "beginning a chat by pointer");
  await page.getByRole("button", { name: "Stop (Esc)" }).click();
  await inComposer(page, "stopping by pointer");
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  await inComposer(page, "the stop");
  await composer(page).fill("Run the slow build");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await inComposer(page, "sending by pointer");
  await page.getByText("crate-02").waitFor({ timeout: 20_000 });
  await composer(page).fill("and then the tests");
  await page.getByRole("button", { name: "Queue", exact: true }).click();
  await inComposer(page, "queueing by pointer");
  await page.getByRole("region", { name: "Waiting messages" }).getByRole("button", { name: "Edit" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await inComposer(page, "giving up the change of a waiting message");
  await page.locator("[role=log]").click({ position: { x: 5, y: 5 } });
  await page.keyboard.press("Escape");
  await inComposer(page, "stopping by key");
  const message = page.locator("[data-walk=message]").first();
  await page.locator("[role=log]").evaluate((log) => log.scrollTo(0, 0));
  await message.hover();
  await message.getByRole("button", { name: "Edit message" }).click();
  await page.getByLabel("New text").press("Escape");
  await inComposer(page, "giving up the change of a message");
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Search chats and actions").waitFor();
  await page.mouse.click(20, 780);
  await inComposer(page, "leaving the palette by pointer");
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  await inComposer(page, "closing the shortcuts");
});

await check("whoever has gone elsewhere meanwhile is left there", { SEED: "1", SPEED: "2" }, async (page) => {
  await page.goto("/");
  await ask(page, "Run the slow build");
  await page.getByText("crate-02").waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: "Stop (Esc)" }).click({ noWaitAfter: true });
  await page.getByLabel("Search chats").focus();
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  await page.waitForTimeout(200);
  expect((await focused(page)) === "chat-search", `the focus is on ${await focused(page)}`);
});

await check("a chat that has just begun can be stopped from the first moment", { SPEED: "1" }, async (page) => {
  await page.goto("/");
  await page.getByText("What shall we do?").waitFor();
  await page.evaluate(() => {
    globalThis.seen = [];
    new MutationObserver(() => {
      const labels = [...document.querySelectorAll("main button[aria-label]")].map((button) => button.getAttribute("aria-label"));
      const name = labels.find((label) => label === "Send" || label?.startsWith("Stop"));
      const where = document.querySelector("main h1")?.textContent === "What shall we do?" ? "new" : "chat";
      if (name && globalThis.seen.at(-1) !== `${where}: ${name}`) globalThis.seen.push(`${where}: ${name}`);
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await ask(page, "Explain what you can do");
  await idle(page);
  await composer(page).fill("Explain it again");
  await page.keyboard.press("Enter");
  await idle(page);
  const seen = (await page.evaluate(() => globalThis.seen)).filter((name) => name.startsWith("chat")).join();
  expect(seen === "chat: Stop (Esc),chat: Send,chat: Stop (Esc),chat: Send", seen);
});

/** Everything on the page that is operated and is lower than a finger needs. Links in running text are as high as their line. */
const tooLow = (page) =>
  page.evaluate((least) => {
    const operated = document.querySelectorAll("button, a[href], [role^=menuitem], [role=option], input:not([hidden], [type=checkbox], [type=radio]), select, textarea");
    return [...operated].flatMap((element) => {
      const { width, height, right } = element.getBoundingClientRect();
      const isSeen = element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && width > 1 && right > 0;
      if (!isSeen || height >= least - 0.5 || element.closest(".prose, .sr-only, [inert]")) return [];
      return [`${element.getAttribute("aria-label") ?? element.textContent?.slice(0, 40)}: ${height} px`];
    });
  }, FINGER_PX);

await check("everything a finger must hit on a phone is high enough", { SEED: "1", SPEED: "3" }, async (page) => {
  const look = async (where) => {
    await page.waitForTimeout(250);
    const low = await tooLow(page);
    expect(low.length === 0, `${where}: ${low.join("; ")}`);
  };
  const tap = (name) => page.getByRole("button", { name, exact: true }).first().click();
  await page.goto("/");
  await page.getByText("What shall we do?").waitFor();
  await look("a new chat");
  await tap("Show chats");
  await tap("Archived chats");
  await look("the list");
  await tap("Filters");
  await look("filters");
  await page.keyboard.press("Escape");
  await page.getByLabel("Search chats").fill("notes");
  await look("what was found");
  await page.goto("/");
  await composer(page).fill("Create hello.txt with a haiku and show it");
  await tap("Send");
  await idle(page);
  const closed = page.locator("[role=log] [aria-expanded=false]");
  while ((await closed.count()) > 0) await closed.first().click();
  await look("tool cards");
  await tap("More");
  await look("the menu");
  await page.getByRole("menuitem", { name: "Labels" }).click();
  await page.getByLabel("New label").waitFor();
  await look("labels");
  await page.keyboard.press("Escape");
  await composer(page).fill("Run the slow build");
  await tap("Send");
  await page.getByText("crate-02").waitFor({ timeout: 20_000 });
  for (const text of ["alpha", "beta"]) {
    await composer(page).fill(text);
    await tap("Queue");
    await page.getByRole("region", { name: "Waiting messages" }).getByText(text).waitFor();
  }
  await look("waiting messages");
  await tap("Edit");
  await look("a waiting message being changed");
  await tap("Cancel");
  await tap("Edit message");
  await look("a message being changed");
  for (const settings of ["models", "users", "tokens", "account", "look"]) {
    await page.goto(`/settings/${settings}`);
    await page.getByRole("navigation", { name: "Settings" }).waitFor();
    await look(settings);
  }
}, PHONE);

for (const [wanted, system] of [["system", "dark"], ["dark", "light"], ["light", "dark"]]) {
  await check(`the first thing that is drawn has the reader's theme: ${wanted}, with a ${system} system`, { SEED: "1" }, async (page) => {
    await page.addInitScript((theme) => {
      localStorage.setItem("tandem.prefs", JSON.stringify({ state: { theme }, version: 1 }));
      globalThis.first = null;
      // Nothing is drawn before there is a body.
      new MutationObserver(() => {
        if (document.body) globalThis.first ??= document.documentElement.dataset.theme ?? "none";
      }).observe(document, { childList: true, subtree: true });
    }, wanted);
    await page.goto("/");
    await page.getByText("What shall we do?").waitFor();
    const first = await page.evaluate(() => globalThis.first);
    expect(first === (wanted === "system" ? system : wanted), `drawn first: ${first}`);
  }, { colorScheme: system });
}

await check("nothing moves while a page loads", { SEED: "1", SPEED: "4" }, async (page) => {
  await page.goto("/");
  await ask(page, "Create hello.txt with a haiku and show it");
  await idle(page);
  const chat = new URL(page.url()).pathname;
  await page.addInitScript(() => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries())).observe({ type: "layout-shift", buffered: true });
  });
  for (const path of ["/", chat, "/settings/models", "/settings/users", "/settings/tokens"]) {
    await page.goto(path);
    await page.waitForTimeout(1_000);
    const shift = await page.evaluate(() => globalThis.shifts.reduce((sum, entry) => sum + entry.value, 0));
    expect(shift < 0.01, `${path} shifts by ${shift}`);
  }
});

await check("an administrator adds, suspends and removes a user", { SEED: "1" }, async (page) => {
  await page.goto("/settings/users");
  await page.getByRole("button", { name: "Add" }).click();
  const add = async (name) => {
    await page.getByLabel("User name").fill(name);
    await page.getByLabel("E-mail").fill("bea@example.com");
    await page.getByLabel("First password").fill("correct horse");
    await page.getByRole("dialog").getByRole("button", { name: "Add" }).click();
  };
  await add("admin");
  await page.getByText("That user name is taken.").waitFor();
  await add("bea");
  const bea = page.getByRole("listitem").filter({ hasText: "bea@example.com" });
  await bea.getByRole("button", { name: "Actions for bea" }).click();
  await page.getByRole("menuitem", { name: /Suspend/ }).click();
  await bea.getByText("Suspended").waitFor();
  await bea.getByRole("button", { name: "Actions for bea" }).click();
  await page.getByRole("menuitem", { name: /Remove/ }).click();
  await page.getByRole("button", { name: "Remove bea" }).click();
  await bea.waitFor({ state: "detached" });
  expect((await page.getByRole("button", { name: /Actions for admin/ }).count()) === 0, "administrators can lock themselves out");
});

await check("a chat that does not exist says so, with a way back", { SEED: "1" }, async (page) => {
  await page.goto("/chats/00000000-0000-4000-8000-000000000000");
  await page.getByRole("heading", { name: "Chat not found" }).waitFor();
  expect((await page.title()) === "Chat not found · Tandem", await page.title());
  await page.getByRole("link", { name: "Back to your chats" }).click();
  await page.getByText("What shall we do?").waitFor();
});

await check("a lost connection counts down to its next attempt, and can be tried at once", { SEED: "1", SPEED: "8" }, async (page, { stop }) => {
  await page.goto("/");
  await ask(page, "Explain what you can do");
  await idle(page);
  stop();
  await page.getByText(/^in \d+ s/).waitFor({ timeout: 20_000 });
  await page.getByText(/lost \d+ s ago/).waitFor();
  let tries = 0;
  page.on("websocket", () => {
    tries += 1;
  });
  await page.getByRole("button", { name: "Try now" }).click();
  await page.waitForTimeout(200);
  expect(tries > 0, "nothing was tried");
});

await end();

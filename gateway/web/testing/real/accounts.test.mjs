// Who gets in, and what they see there: the one-time link, passwords, signing out, and other people's chats.
import assert from "node:assert/strict";
import { PASSWORD, useDemo } from "./prepare.mjs";
import { stage } from "./stage.mjs";

const OTHER_PASSWORD = "another horse entirely";

let admin;
let link;
let chatId;
const scene = stage(async (set) => {
  link = await set.tandem.link();
  admin = await set.visitor();
  await useDemo(admin, link);
  chatId = await admin.startChat("run `echo nobody else may read this`");
  await admin.answered();
});

scene("the link lets nobody in a second time", async (set) => {
  const late = await set.visitor();
  late.expects(/^40\d POST \/api\/v1\/setup/);
  late.tolerates(/401.*\/api\/v1\/users\/me/, /status of 40\d.*\/api\/v1\/setup/);
  await late.page.goto(link);
  await late.page.getByText("This sign-in link was already used").waitFor();
  await late.shoot("link-used-twice");
  assert.equal((await late.page.request.get("/api/v1/users/me")).status(), 401);
  await late.page.getByRole("link", { name: "Sign in with a password" }).click();
  await late.page.getByRole("heading", { name: "Sign in to Tandem" }).waitFor();
  // By hand, without a code, there is nothing to set up either.
  await late.page.goto("/setup");
  await late.page.getByRole("heading", { name: "Sign in to Tandem" }).waitFor();
});

scene("signing out leads to the sign-in page, and the chat is out of reach", async () => {
  await admin.page.getByRole("button", { name: "Administrator", exact: true }).click();
  // Sockets that are open at that moment are closed by the server.
  admin.tolerates(/401/);
  await admin.page.getByRole("menuitem", { name: "Sign out" }).click();
  await admin.page.getByRole("heading", { name: "Sign in to Tandem" }).waitFor();
  await admin.shoot("sign-in");
  await admin.page.goto(`/chats/${chatId}`);
  await admin.page.getByRole("heading", { name: "Sign in to Tandem" }).waitFor();
  assert.equal((await admin.page.request.get(`/api/v1/chats/${chatId}`)).status(), 401);
});

scene("a wrong password is refused with words, and the right one leads to the chats", async () => {
  admin.expects(/^401 POST \/api\/v1\/users\/login/);
  admin.tolerates(/401.*\/api\/v1\/users\/(login|me)/);
  await admin.signIn("admin", "wrong horse battery");
  const refusal = admin.page.getByRole("alert");
  await refusal.waitFor();
  assert.match(await refusal.innerText(), /password/i);
  await admin.shoot("wrong-password");
  assert.equal(await admin.page.getByLabel("User name or e-mail").inputValue(), "admin", "the name is gone");
  await admin.page.getByLabel("Password").fill(PASSWORD);
  await admin.page.getByRole("button", { name: "Sign in" }).click();
  await admin.page.getByRole("navigation", { name: "Chats" }).getByRole("link", { name: /nobody else may read/ }).click();
  await admin.card(/^Ran echo nobody else/).waitFor();
  await admin.answered();
});

scene("a second user finds neither the first one's chat nor a word of it", async (set) => {
  const [organization] = await admin.get("/api/v1/organizations");
  await admin.post("/api/v1/users", { username: "bea", email: "bea@example.com", password: OTHER_PASSWORD, login_type: "password", organization_ids: [organization.id] });
  const bea = await set.visitor();
  bea.tolerates(/401.*\/api\/v1\/users\/me/);
  await bea.signIn("bea", OTHER_PASSWORD);
  await bea.page.getByText("No chats yet.").waitFor();
  bea.expects(new RegExp(`^404 GET /api/v1/chats/${chatId}`));
  bea.tolerates(new RegExp(`status of 404.*/api/v1/chats/${chatId}`));
  await bea.page.goto(`/chats/${chatId}`);
  await bea.page.getByRole("heading", { name: "Chat not found" }).waitFor();
  await bea.shoot("not-found");
  const seen = await bea.page.locator("body").innerText();
  assert.doesNotMatch(seen, /nobody else may read/);
  assert.equal(await bea.page.title(), "Chat not found · Tandem");
  await bea.page.getByRole("link", { name: "Back to your chats" }).click();
  await bea.page.getByRole("heading", { name: "What shall we do?" }).waitFor();
  await bea.startChat("count to 3");
  await bea.answered();
});

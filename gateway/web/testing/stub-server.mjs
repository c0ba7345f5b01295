// A small stand-in for the gateway, in memory, for developing and photographing the UI without the other services.
// It serves `dist/` too, or STUB_DIST. Usage: node testing/stub-server.mjs [port]. Words in a prompt choose the scripted answer:
// "uname", "hello.txt", "markdown", "code", "slow", "fail", "retry", "lost", "full", "stand in", "tracker", "plan it", "ask me", "template", "tidy up", "ship it", "unseen"; anything else explains. SETUP=1 starts as a new
// installation, SEED=1 with some chats. FAIL_SEND=1 refuses messages; LOSE_ANSWERS=n takes the first n and loses the confirmation;
// NO_KEYS=1 knows no Idempotency-Key; OLD=1 lacks the routes that came last. PROVIDERS=1 has providers with keys and prices; LIMIT=1 and
// SPENT=1 have a spending limit, see stub-usage.mjs; TROUBLE=1 and OWN_KEYS=1: stub-providers.mjs; BRIDGE=1: stub-bridge.mjs; MINIMUM: stub-approvals.mjs; WORKSPACES=1: chats have one, see stub-workspaces.mjs; MCP=1: stub-mcp.mjs. MEMBER=1 is no
// administrator. POST /stub/upstream {lost} plays a server that is cut off from its agents.
import { createReadStream, existsSync, statSync } from "node:fs";
import { setMaxListeners } from "node:events";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { randomUUID } from "node:crypto";
import { WebSocketServer } from "ws";
import { approvals, modeOf, waitOf } from "./stub-approvals.mjs";
import { answers, summarize } from "./stub-answers.mjs";
import { matches, readQuery, seed } from "./stub-chats.mjs";
import { bridge } from "./stub-bridge.mjs";
import { mcp } from "./stub-mcp.mjs";
import { ACCESS, providers } from "./stub-providers.mjs";
import { usage } from "./stub-usage.mjs";
import { changes, PLACE, PLAN_FILE, workspaces } from "./stub-workspaces.mjs";

const PORT = Number(process.argv[2] ?? 7081);
const DIST = process.env.STUB_DIST ?? fileURLToPath(new URL("../dist/", import.meta.url));
const PREFIX = "/api/v1";
const ORG = randomUUID();
const WORKSPACE = randomUUID();
const ORGANIZATIONS = [
  { id: ORG, name: "default", display_name: "Default", is_default: true },
  { id: randomUUID(), name: "lab", display_name: "The lab", is_default: false },
];
const USER = { id: randomUUID(), username: "admin", name: "", email: "admin@localhost", organization_ids: [ORG], roles: process.env.MEMBER ? [] : [{ name: "owner" }] };
/** How much faster than life scripted answers go. */
const SPEED = Number(process.env.SPEED ?? 1);

const state = {
  needsSetup: process.env.SETUP === "1",
  signedIn: process.env.SETUP !== "1",
  chats: new Map(),
  providers: [],
  models: [],
  tokens: [],
  users: [{ ...USER, status: "active" }],
  files: new Map([[PLAN_FILE.id, PLAN_FILE]]),
  watchers: new Set(),
  /** Answers by Idempotency-Key. */
  confirmed: new Map(),
  losing: Number(process.env.LOSE_ANSWERS ?? 0),
  upstreamLost: false,
  nextMessage: 1,
  nextQueued: 1,
};

const now = () => new Date().toISOString();
const sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms / SPEED);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error("interrupted"));
    });
    if (signal) setMaxListeners(0, signal);
  });

if (!state.needsSetup) addDemo();
if (process.env.PROVIDERS) addProviders();

function addDemo() {
  const provider = { id: randomUUID(), type: "demo", name: "demo", display_name: "Demo", enabled: true, base_url: "", api_keys: [], settings: null, ...ACCESS };
  state.providers.push(provider);
  addModel({ ai_provider_id: provider.id, model: "demo", display_name: "Demo (scripted)", context_limit: 128_000, is_default: true });
}

function addModel(body) {
  const provider = state.providers.find((p) => p.id === body.ai_provider_id);
  if (body.is_default || state.models.length === 0) for (const m of state.models) m.is_default = false;
  const model = { id: randomUUID(), provider: provider.type, display_name: "", enabled: true, compression_threshold: 70, is_default: state.models.length === 0, ...body };
  state.models.push(model);
  return model;
}

function keyOf(key) {
  return { id: randomUUID(), masked: `${key.slice(0, 3)}…${key.slice(-4)}`, created_at: now() };
}

function addProviders() {
  const add = (type, name, display_name, keys, base_url = "", enabled = true) => {
    const provider = { id: randomUUID(), type, name, display_name, enabled, base_url, api_keys: keys.map(keyOf), settings: null, ...ACCESS };
    state.providers.push(provider);
    return provider.id;
  };
  const isInTrouble = process.env.TROUBLE === "1";
  const claude = add("anthropic", "anthropic", "Anthropic", ["sk-ant-first-a1b2", "sk-ant-second-c3d4", ...(isInTrouble ? ["sk-ant-third-e5f6"] : [])]);
  const openai = add("openai", "openai", "OpenAI", isInTrouble ? ["sk-proj-9b9b"] : []);
  if (isInTrouble) Object.assign(state.providers.at(-2), { max_concurrent: 8 });
  if (process.env.OWN_KEYS) {
    Object.assign(state.providers.at(-2), { allow_user_api_key: true, allow_central_api_key_fallback: true });
    Object.assign(state.providers.at(-1), { allow_user_api_key: true, central_api_key_enabled: false });
  }
  add("openai-compat", "workshop", "Workshop server", [], "http://10.0.0.7:8080/v1", false);
  const prices = (input, output, read, write) => ({ input_price_per_million_tokens: input, output_price_per_million_tokens: output, cache_read_price_per_million_tokens: read, cache_write_price_per_million_tokens: write });
  addModel({ ai_provider_id: claude, model: "claude-sonnet-4-5", display_name: "Claude Sonnet 4.5", context_limit: 200_000, is_default: true, model_config: { cost: prices("3", "15", "0.3", "3.75"), provider_options: { anthropic: { effort: "high" } } } });
  addModel({ ai_provider_id: openai, model: "gpt-5", display_name: "", context_limit: 400_000, is_default: false, enabled: false });
}

// ---- chats -----------------------------------------------------------------------------------------------------------

function publish(chat, event) {
  const full = { ...event, chat_id: chat.row.id, cursor: `v${chat.log.length + 1}` };
  if (event.type === "retry") chat.retry = full;
  else if (event.type !== "queue_update") chat.retry = null;
  chat.log.push(full);
  if (state.upstreamLost) return void chat.held.push(full);
  for (const socket of chat.sockets) socket.send(JSON.stringify([full]));
}

function watch(kind, chat) {
  const text = JSON.stringify({ kind, chat: { ...chat.row, has_unread: chat.row.has_unread && chat.sockets.size === 0 } });
  for (const socket of state.watchers) socket.send(text);
}

function setStatus(chat, status) {
  chat.row.status = status;
  chat.row.updated_at = now();
  if (status !== "error") delete chat.row.last_error;
  publish(chat, { type: "status", status: { status } });
  watch("status_change", chat);
}

function addMessage(chat, role, content, more = {}) {
  const message = { id: state.nextMessage++, chat_id: chat.row.id, created_at: now(), role, content, ...more };
  if (role === "user") message.model_config_id = chat.row.last_model_config_id;
  chat.messages.push(message);
  publish(chat, { type: "message", message });
  return message;
}

function newChat(body, parent) {
  const text = body.content.find((p) => p.type === "text")?.text ?? "New Chat";
  const words = text.trim().split(/\s+/);
  const row = {
    id: randomUUID(),
    organization_id: ORG,
    owner_id: USER.id,
    last_model_config_id: body.model_config_id ?? state.models.find((model) => model.is_default)?.id ?? "",
    title: words.slice(0, 6).join(" ") + (words.length > 6 ? "…" : ""),
    status: "pending",
    last_turn_summary: null,
    created_at: now(),
    updated_at: now(),
    archived: false,
    pin_order: 0,
    mcp_server_ids: body.mcp_server_ids ?? [],
    approval_mode: modeOf(body.approval_mode),
    ...(body.plan_mode && { plan_mode: body.plan_mode }),
    ...(process.env.WORKSPACES && { workspace_id: WORKSPACE, ...PLACE }),
    labels: {},
    has_unread: false,
    client_type: "ui",
    children: [],
    ...(parent && { parent_chat_id: parent.row.id }),
  };
  if (parent) parent.row.children.push(row);
  const chat = { row, retry: null, tries: 0, messages: [], queue: [], log: [], held: [], sockets: new Set(), stop: null };
  state.chats.set(row.id, chat);
  return chat;
}

async function runTurn(chat, script) {
  const stop = new AbortController();
  chat.stop = stop;
  const text = chat.messages.findLast((m) => m.role === "user")?.content?.map((p) => p.text ?? "").join(" ") ?? "";
  const partial = [];
  const turn = {
    signal: stop.signal,
    sleep: (ms) => sleep(ms, stop.signal),
    part: (part, role = "assistant") => {
      if (part.type === "text") partial.push(part.text);
      publish(chat, { type: "message_part", message_part: { role, part } });
    },
    message: (role, content, more) => {
      partial.length = 0;
      addMessage(chat, role, content, more);
    },
    otherModel: () => state.models.find((model) => model.id !== chat.row.last_model_config_id)?.id,
    approve: (wanted) => asking.ask(chat, wanted, stop.signal),
    retry: (retry) => publish(chat, { type: "retry", retry }),
    previewReset: () => publish(chat, { type: "preview_reset" }),
    fail: (error) => Object.assign(new Error(error.message), { chatError: error }),
  };
  try {
    setStatus(chat, "running");
    await (script ?? answers(text, chat.tries))(turn);
    chat.row.last_turn_summary = "Answered the question";
  } catch (error) {
    if (error.chatError) {
      chat.tries += 1;
      chat.row.last_error = error.chatError;
      publish(chat, { type: "error", error: error.chatError });
      setStatus(chat, "error");
      return;
    }
    chat.row.last_turn_summary = null;
    if (partial.length > 0) addMessage(chat, "assistant", [{ type: "text", text: partial.join("") }]);
    else publish(chat, { type: "preview_reset" });
  } finally {
    chat.stop = null;
  }
  if (promote(chat)) return;
  chat.row.has_unread = chat.sockets.size === 0;
  setStatus(chat, "waiting");
}

function promote(chat) {
  const next = chat.queue.shift();
  if (!next) return false;
  publish(chat, { type: "queue_update", ...(chat.queue.length > 0 && { queued_messages: chat.queue }) });
  start(chat, next.content);
  return true;
}

function begin(chat, script) {
  setStatus(chat, "pending");
  setTimeout(() => void runTurn(chat, script), 60 / SPEED);
  return chat.row;
}

/** The route is one that servers did not always have. */
function recent() {
  if (process.env.OLD) throw new Problem(404, "Route not found.");
}

function setArchived(row, archived) {
  Object.assign(row, { archived }, archived && { pin_order: 0 });
  const chat = state.chats.get(row.id);
  if (archived) chat.stop?.abort();
  for (const child of row.children) setArchived(child, archived);
  watch(archived ? "deleted" : "created", chat);
}

/** Files are named by what was uploaded. */
function described(part) {
  const file = state.files.get(part.file_id);
  return file ? { ...part, media_type: file.type, name: file.name } : part;
}

function start(chat, content) {
  const message = addMessage(chat, "user", content.map(described));
  begin(chat);
  return message;
}

// ---- HTTP ------------------------------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(status, message, detail) {
    super(message);
    Object.assign(this, { status, detail });
  }
}
const find = (id) => {
  const chat = state.chats.get(id);
  if (!chat) throw new Problem(404, "Resource not found or you do not have access to this resource");
  return chat;
};

const asking = approvals({ find, publish, setStatus, Problem });
const money = usage({ me: USER, Problem, usersOf: () => state.users, organizations: ORGANIZATIONS });

const routes = [
  ["GET", "/setup", () => ({ needs_setup: state.needsSetup }), { open: true }],
  ["POST", "/setup", ({ body }) => {
    if (body.code !== "DEMO-CODE") throw new Problem(401, "This code is not valid or was used already.");
    state.signedIn = true;
    return {};
  }, { open: true }],
  ["POST", "/users/login", ({ body }) => {
    if (body.password !== "password") throw new Problem(401, "Incorrect user name or password.");
    state.signedIn = true;
    return { session_token: "x" };
  }, { open: true }],
  ["POST", "/users/logout", () => void (state.signedIn = false)],
  ["GET", "/users/me", () => USER],
  ["GET", "/users", () => ({ users: state.users, count: state.users.length })],
  ["POST", "/users", ({ body }) => {
    if (state.users.some((user) => user.username === body.username)) throw new Problem(409, "That user name is taken.");
    const user = { ...USER, ...body, id: randomUUID(), status: "active", roles: body.roles.map((name) => ({ name })), password: undefined };
    state.users.push(user);
    return user;
  }],
  ["DELETE", "/users/:id", ({ id }) => void (state.users = state.users.filter((user) => user.id !== id))],
  ["PUT", "/users/:id/status/:other", ({ id, other }) => Object.assign(state.users.find((user) => user.id === id), { status: other === "suspend" ? "suspended" : "active" })],
  ["PUT", "/users/me/password", () => void (state.needsSetup = false)],
  ["GET", "/users/me/keys/tokens", () => state.tokens],
  ["POST", "/users/me/keys/tokens", ({ body }) => {
    const id = randomUUID().slice(0, 10);
    state.tokens.push({ id, token_name: body.token_name, created_at: now(), last_used: "0001-01-01T00:00:00Z", expires_at: new Date(Date.now() + body.lifetime / 1e6).toISOString() });
    return { key: `tdm_${id}_${randomUUID().replaceAll("-", "")}` };
  }],
  ["DELETE", "/users/me/keys/:id", ({ id }) => void (state.tokens = state.tokens.filter((t) => t.id !== id))],
  ["GET", "/organizations", () => ORGANIZATIONS],
  // For tests of reconnecting: every socket is cut, nothing else happens.
  ["POST", "/stub/cut", () => {
    for (const socket of sockets.clients) socket.terminate();
  }],
  ["POST", "/stub/long", ({ body }) => {
    const chat = newChat({ content: [{ type: "text", text: "A long chat" }] });
    chat.row.status = "waiting";
    for (let n = 0; n < body.messages; n += 1) {
      const role = n % 2 === 0 ? "user" : "assistant";
      chat.messages.push({ id: state.nextMessage++, chat_id: chat.row.id, created_at: now(), role, content: [{ type: "text", text: `Message ${n}\n\nwith a second paragraph.` }] });
    }
    return chat.row;
  }],
  ["GET", "/ai/providers", () => state.providers],
  ["GET", "/ai/providers/detect", async () => {
    await sleep(400);
    return [{ kind: "ollama", base_url: "http://127.0.0.1:11434/v1", models: ["qwen3:8b", "llama3.2"] }];
  }],
  ["POST", "/ai/providers/test", async ({ body }) => {
    await sleep(500);
    if (body.type === "demo") return { ok: true, message: "", models: ["demo"], latency_ms: 1 };
    if (body.api_key?.includes("bad")) return { ok: false, message: "The provider says the key is not valid (401: Incorrect API key provided).", models: [], latency_ms: 210 };
    return { ok: true, message: "", models: ["gpt-5", "gpt-5-mini", "gpt-4.1"], latency_ms: 182 };
  }],
  ["POST", "/ai/providers", ({ body }) => {
    if (state.providers.some((p) => p.name === body.name)) throw new Problem(409, "A provider with this name already exists.");
    const keys = (body.api_keys ?? []).map(keyOf);
    const provider = { id: randomUUID(), base_url: "", display_name: body.name, settings: null, ...ACCESS, ...body, api_keys: keys };
    state.providers.push(provider);
    return provider;
  }],
  ["PATCH", "/ai/providers/:id", ({ id, body }) => {
    const provider = state.providers.find((p) => p.id === id);
    const keys = body.api_keys?.map((wanted) => provider.api_keys.find((key) => key.id === wanted.id) ?? keyOf(wanted.api_key));
    return Object.assign(provider, body, keys && { api_keys: keys });
  }],
  ["DELETE", "/ai/providers/:id", ({ id }) => {
    state.providers = state.providers.filter((p) => p.id !== id);
    state.models = state.models.filter((m) => m.ai_provider_id !== id);
  }],
  ["POST", "/chats/:id/title/regenerate", async ({ id }) => {
    await sleep(600);
    find(id).row.title = "A better title";
    watch("title_change", find(id));
    return find(id).row;
  }],
  ["POST", "/chats/:id/title/propose", async () => {
    await sleep(600);
    return { title: "A proposed title" };
  }],
  ["POST", "/stub/upstream", ({ body }) => {
    state.upstreamLost = body.lost;
    if (body.lost) return;
    for (const chat of state.chats.values()) for (const socket of chat.sockets) socket.send(JSON.stringify(chat.held));
    for (const chat of state.chats.values()) chat.held = [];
  }],
  ...money.routes,
  ...asking.routes,
  ...providers({ state, Problem, known: recent }),
  ...bridge({ me: USER, Problem, known: recent }),
  ...mcp({ isAdministrator: USER.roles.length > 0, Problem, known: recent }),
  ...workspaces({ first: WORKSPACE, me: USER, Problem, isAdministrator: USER.roles.length > 0 }),
  ["GET", "/chats/model-configs", () => state.models],
  ["POST", "/chats/model-configs", ({ body }) => addModel(body)],
  ["PATCH", "/chats/model-configs/:id", ({ id, body }) => {
    if (body.is_default) for (const m of state.models) m.is_default = false;
    return Object.assign(state.models.find((m) => m.id === id), body);
  }],
  ["DELETE", "/chats/model-configs/:id", ({ id }) => void (state.models = state.models.filter((m) => m.id !== id))],
  ["POST", "/chats/files", ({ request, raw }) => {
    const id = randomUUID();
    const name = /filename="([^"]*)"/.exec(request.headers["content-disposition"] ?? "")?.[1] ?? "file";
    state.files.set(id, { type: request.headers["content-type"], name, raw });
    return { id };
  }],
  ["GET", "/chats", ({ query }) => {
    let wanted;
    try {
      wanted = readQuery(query.get("q") ?? "");
    } catch (error) {
      throw new Problem(400, "Invalid query.", error.message);
    }
    const rows = [...state.chats.values()].map((chat) => chat.row).filter((row) => !row.parent_chat_id);
    return rows.filter((row) => matches(row, wanted, query.getAll("label")));
  }],
  ["POST", "/chats", ({ body }) => {
    money.charge();
    asking.refuse(body.approval_mode);
    const chat = newChat(body);
    watch("created", chat);
    start(chat, body.content);
    return chat.row;
  }],
  ["GET", "/chats/:id", ({ id }) => find(id).row],
  ["PATCH", "/chats/:id", ({ id, body }) => {
    const chat = find(id);
    const { archived, ...rest } = body;
    asking.refuse(rest.approval_mode);
    Object.assign(chat.row, rest);
    if (archived === undefined) watch("title_change", chat);
    else setArchived(chat.row, archived);
  }],
  ["GET", "/chats/:id/messages", ({ id, query }) => {
    const chat = find(id);
    const before = Number(query.get("before_id") ?? Infinity);
    const limit = Number(query.get("limit") ?? 50);
    const all = chat.messages.filter((m) => m.id < before).toReversed();
    return { messages: all.slice(0, limit), queued_messages: query.has("before_id") ? [] : chat.queue, has_more: all.length > limit };
  }],
  ["POST", "/chats/:id/messages", ({ id, body }) => {
    const chat = find(id);
    money.charge();
    if (process.env.FAIL_SEND) throw new Problem(500, "Something broke on the server.");
    chat.tries = 0;
    if (body.plan_mode !== undefined) chat.row.plan_mode = body.plan_mode;
    if (body.mcp_server_ids) chat.row.mcp_server_ids = body.mcp_server_ids;
    if (["waiting", "error"].includes(chat.row.status)) return { queued: false, message: start(chat, body.content) };
    const queued = { id: state.nextQueued++, chat_id: id, content: body.content, created_at: now() };
    if (body.busy_behavior === "interrupt") chat.queue.unshift(queued);
    else chat.queue.push(queued);
    publish(chat, { type: "queue_update", queued_messages: chat.queue });
    if (body.busy_behavior === "interrupt") chat.stop?.abort();
    return { queued: true, queued_message: queued };
  }],
  ["PATCH", "/chats/:id/messages/:other", ({ id, other, body }) => {
    const chat = find(id);
    chat.messages = chat.messages.filter((m) => m.id < Number(other));
    chat.queue = [];
    chat.stop?.abort();
    publish(chat, { type: "history_reset", history_reset: { from_message_id: Number(other) } });
    publish(chat, { type: "queue_update" });
    if (body.model_config_id) chat.row.last_model_config_id = body.model_config_id;
    return { message: start(chat, body.content) };
  }],
  ["POST", "/chats/:id/retry", ({ id }) => {
    recent();
    if (find(id).row.status !== "error") throw new Problem(409, "the last turn has not failed");
    return begin(find(id));
  }],
  ["POST", "/chats/:id/compact", ({ id }) => {
    recent();
    return begin(find(id), summarize);
  }],
  ["POST", "/chats/:id/clear", ({ id }) => {
    recent();
    const chat = find(id);
    const call = { type: "tool-call", tool_call_id: `chat_summarized_${randomUUID()}`, tool_name: "chat_summarized", args: { source: "cleared" } };
    addMessage(chat, "assistant", [call]);
    addMessage(chat, "tool", [{ ...call, type: "tool-result", result: { source: "cleared", summary: "The model has forgotten everything before this point." } }]);
    return chat.row;
  }],
  ["PATCH", "/chats/:id/queue/:other", ({ id, other, body }) => {
    recent();
    const chat = find(id);
    const from = chat.queue.findIndex((q) => q.id === Number(other));
    if (from < 0) throw new Problem(404, "No such message.");
    chat.queue.splice(body.position, 0, ...chat.queue.splice(from, 1));
    publish(chat, { type: "queue_update", queued_messages: chat.queue });
  }],
  ["POST", "/chats/:id/interrupt", ({ id }) => {
    find(id).stop?.abort();
    return find(id).row;
  }],
  ["DELETE", "/chats/:id/queue/:other", ({ id, other }) => {
    const chat = find(id);
    chat.queue = chat.queue.filter((q) => q.id !== Number(other));
    publish(chat, { type: "queue_update", ...(chat.queue.length > 0 && { queued_messages: chat.queue }) });
  }],
  ["POST", "/chats/:id/queue/:other/promote", ({ id, other }) => {
    const chat = find(id);
    chat.queue.sort((a, b) => Number(b.id === Number(other)) - Number(a.id === Number(other)));
    chat.stop?.abort();
    return { message: "ok" };
  }],
];

function match(method, path) {
  for (const [m, pattern, handler, options] of routes) {
    if (m !== method) continue;
    const names = pattern.split("/");
    const given = path.split("/");
    if (names.length !== given.length) continue;
    const params = {};
    if (names.every((name, i) => (name.startsWith(":") ? ((params[name.slice(1)] = given[i]), true) : name === given[i]))) return { handler, options, params };
  }
  return null;
}

const server = createServer((request, response) => void handle(request, response));

async function handle(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/readyz") {
    const failing = state.upstreamLost ? { orchestrator: "not to be reached" } : {};
    response.writeHead(state.upstreamLost ? 503 : 200, { "content-type": "application/json" });
    return response.end(JSON.stringify({ is_ready: !state.upstreamLost, components: { gateway: { is_serving: true, failing } } }));
  }
  if (!url.pathname.startsWith("/api/")) return serveFile(url.pathname, response);
  const path = url.pathname.slice(PREFIX.length);
  try {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const file = /^\/chats\/files\/(.+)$/.exec(path);
    if (file && request.method === "GET" && state.files.has(file[1])) {
      response.writeHead(200, { "content-type": state.files.get(file[1]).type });
      return response.end(state.files.get(file[1]).raw);
    }
    const found = match(request.method, path);
    if (!found) throw new Problem(404, "Route not found.");
    if (!state.signedIn && !found.options?.open) throw new Problem(401, "You are signed out.");
    const isJson = (request.headers["content-type"] ?? "").startsWith("application/json");
    const body = isJson && raw.length > 0 ? JSON.parse(raw.toString()) : {};
    const key = process.env.NO_KEYS ? undefined : request.headers["idempotency-key"];
    const answer = state.confirmed.get(key) ?? (await found.handler({ ...found.params, body, raw, request, query: url.searchParams }));
    if (key) state.confirmed.set(key, answer);
    if (path.endsWith("/messages") && request.method === "POST" && state.losing-- > 0) {
      // Without a beginning of an answer the browser would ask again by itself.
      response.writeHead(200, { "content-type": "application/json", "content-length": 999 });
      response.write("{");
      return setTimeout(() => response.destroy(), 50);
    }
    if (answer?.html) {
      response.writeHead(200, { "content-type": "text/html" });
      return response.end(answer.html);
    }
    response.writeHead(answer === undefined ? 204 : request.method === "POST" ? 201 : 200, { "content-type": "application/json" });
    response.end(answer === undefined ? "" : JSON.stringify(answer));
  } catch (error) {
    response.writeHead(error.status ?? 500, { "content-type": "application/json" });
    response.end(JSON.stringify({ message: error.message, detail: error.detail ?? "", ...error.more }));
  }
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

function serveFile(pathname, response) {
  const wanted = join(DIST, normalize(pathname));
  const path = existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(DIST, "index.html");
  response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream", "content-security-policy": CSP });
  createReadStream(path).pipe(response);
}

// ---- sockets ---------------------------------------------------------------------------------------------------------

const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", (request, socket, head) => {
  const url = new URL(request.url, "http://localhost");
  const path = url.pathname.slice(PREFIX.length);
  const git = state.chats.get(/^\/chats\/(.+)\/stream\/git$/.exec(path)?.[1]);
  if (git?.row.workspace_id) return sockets.handleUpgrade(request, socket, head, (ws) => ws.send(JSON.stringify(changes())));
  const chat = state.chats.get(/^\/chats\/(.+)\/stream$/.exec(path)?.[1]);
  if (!state.signedIn || (!chat && path !== "/chats/watch") || process.env.NO_SOCKETS) return socket.end("HTTP/1.1 404 Not Found\r\n\r\n");
  sockets.handleUpgrade(request, socket, head, (ws) => {
    const beat = setInterval(() => ws.send(JSON.stringify([{ type: "heartbeat", server_time: now() }])), 15_000);
    ws.on("close", () => clearInterval(beat));
    if (!chat) {
      state.watchers.add(ws);
      ws.on("close", () => state.watchers.delete(ws));
      return;
    }
    chat.row.has_unread = false;
    ws.send(JSON.stringify(snapshot(chat, url.searchParams)));
    chat.sockets.add(ws);
    ws.on("close", () => chat.sockets.delete(ws));
  });
});

function snapshot(chat, query) {
  const cursor = query.get("after_cursor");
  if (cursor) return chat.log.slice(Number(cursor.slice(1)));
  const after = Number(query.get("after_id") ?? 0);
  const position = { chat_id: chat.row.id, cursor: `v${chat.log.length}` };
  const sealed = chat.log.findLastIndex((e) => e.type === "message" || e.type === "preview_reset");
  return [
    { ...position, type: "status", status: { status: chat.row.status } },
    ...(chat.retry ? [chat.retry] : chat.log.slice(sealed + 1).filter((e) => e.type === "message_part")),
    ...chat.messages.filter((m) => m.id > after).map((message) => ({ ...position, type: "message", message })),
    ...(chat.pending ? [{ ...position, ...waitOf(chat) }] : []),
    { ...position, type: "queue_update", ...(chat.queue.length > 0 && { queued_messages: chat.queue }) },
  ];
}

if (process.env.SEED === "1") {
  seed(
    (title, parent) => newChat({ content: [{ type: "text", text: title }] }, parent),
    (chat, role, text) => addMessage(chat, role, [{ type: "text", text }]),
  );
}

server.listen(PORT, "127.0.0.1", () => process.stdout.write(`stub on http://127.0.0.1:${PORT}\n`));

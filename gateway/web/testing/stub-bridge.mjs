// The stub's record of what programs asked over the compatible endpoints. BRIDGE=1 has some; otherwise there is none yet.
import { randomUUID } from "node:crypto";

const HOUR = 3_600_000;
const KEYS = { client: "client", model: "models", provider_name: "providers", initiator: "initiator", session_id: "id" };

const sums = (input, output, read = 0, write = 0) => ({ input_tokens: input, output_tokens: output, cache_read_input_tokens: read, cache_write_input_tokens: write });
const thought = (text, source = "thinking") => ({ id: randomUUID(), interception_id: randomUUID(), text, source, created_at: new Date().toISOString() });
const use = (tool, input, more = {}) => ({ id: randomUUID(), interception_id: randomUUID(), provider_response_id: "", server_url: "", tool, tool_call_id: randomUUID(), input, injected: false, invocation_error: "", metadata: {}, created_at: new Date().toISOString(), ...more });

const LONG = `Here is what I want.\n\n${"The importer must skip rows without a price, and say at the end how many it skipped and why. ".repeat(12)}`;

/** Prompt, what the model did, and seconds it took. */
const THREADS = [
  ["Why does the nightly build fail since Tuesday?", [[[thought("The log names a lock file. I should look at the cache step first.")], [use("Bash", '{"command":"gh run list --limit 5","description":"List the latest runs"}')]], [[], [use("Read", '{"file_path":"/src/.github/workflows/nightly.yml"}'), use("search_docs", '{"query":"cache key lockfile"}', { injected: true, server_url: "https://docs.example/mcp" })]]], 94],
  ["Then fix it and open a pull request", [[[], [use("Edit", '{"file_path":"/src/.github/workflows/nightly.yml","old_string":"key: v1","new_string":"key: v2"}'), use("open_pull_request", '{"title":"Fix the cache key"}', { injected: true, server_url: "https://git.example/mcp", invocation_error: "The branch has no commits yet." })]]], 41],
  [LONG, [], 12],
];

function threadsOf(session, count) {
  return Array.from({ length: count }, (_, index) => {
    const [prompt, steps, seconds] = THREADS[index % THREADS.length];
    const started = Date.parse(session.started_at) + index * 120_000;
    return {
      id: randomUUID(),
      prompt: index < THREADS.length ? prompt : `${prompt.slice(0, 40)} (${index + 1})`,
      model: session.models[0],
      provider: "anthropic",
      provider_name: session.providers[0],
      credential_kind: index === 1 ? "byok" : "centralized",
      credential_hint: "sk-a...9f3c",
      started_at: new Date(started).toISOString(),
      ended_at: new Date(started + seconds * 1_000).toISOString(),
      token_usage: { ...sums(1_200, 640, 18_000, 900), metadata: {} },
      agentic_actions: steps.map(([thinking, tool_calls]) => ({ model: session.models[0], token_usage: { ...sums(400, 90), metadata: {} }, thinking, tool_calls })),
      interception_count: 1 + steps.length,
    };
  });
}

function seed(me) {
  const dana = { id: randomUUID(), username: "dana", name: "Dana Okafor", avatar_url: "" };
  const own = { id: me.id, username: me.username, name: "", avatar_url: "" };
  const rows = [
    ["ses/1 a:b", own, "Claude Code", ["anthropic"], ["claude-sonnet-4-5"], 0.3, 3, "Then fix it and open a pull request\nand mention the ticket"],
    [randomUUID(), own, "Codex", ["openai"], ["gpt-5"], 3, 1, "Write a test for the parser of time spans"],
    [randomUUID(), dana, "Claude Code", ["anthropic", "workshop"], ["claude-sonnet-4-5", "qwen3:8b"], 9, 120, LONG],
    [randomUUID(), dana, null, ["openai"], ["gpt-5"], 30, 1, undefined],
    ...Array.from({ length: 26 }, (_, index) => [randomUUID(), own, "Zed", ["openai"], ["gpt-5"], 40 + index, 1, `An older question, number ${index + 1}`]),
  ];
  return rows.map(([id, initiator, client, providers, models, hours, threads, last_prompt]) => {
    const started = Date.now() - hours * HOUR;
    return { id, initiator, client, providers, models, metadata: {}, started_at: new Date(started).toISOString(), ended_at: new Date(started + 400_000).toISOString(), threads, token_usage_summary: sums(4_100 * threads, 980 * threads, 36_000, 2_400), last_prompt };
  });
}

export function bridge({ me, Problem, known }) {
  const sessions = process.env.BRIDGE === "1" ? seed(me) : [];
  const threads = new Map();
  const page = (query, most) => [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? most)];
  const wanted = (q) =>
    [...q.matchAll(/(\w+):("[^"]*"|\S+)/g)].map(([, key, value]) => {
      if (!(key in KEYS) && !key.startsWith("started_")) throw new Problem(400, "Invalid query.", `"${key}" is no key`);
      return [key, value.replaceAll('"', "")];
    });
  const matches = (session) => ([key, value]) => {
    if (key === "started_after") return session.started_at >= value;
    if (key === "started_before") return session.started_at <= value;
    if (key === "client") return (session.client ?? "Unknown") === value;
    if (key === "initiator") return [session.initiator.username, session.initiator.id].includes(value);
    return [session[KEYS[key]]].flat().includes(value);
  };
  const values = (pick) => [...new Set(sessions.flatMap(pick))].toSorted();
  return [
    ["GET", "/aibridge/sessions", ({ query }) => {
      known();
      const terms = wanted(query.get("q") ?? "");
      const found = sessions.filter((session) => terms.every(matches(session)));
      const [offset, limit] = page(query, 100);
      return { count: found.length, sessions: found.slice(offset, offset + limit) };
    }],
    ["GET", "/aibridge/sessions/:id", ({ id, query }) => {
      known();
      const session = sessions.find((one) => one.id === decodeURIComponent(id));
      const initiator = query.get("initiator");
      if (!session || (initiator ?? me.id) !== session.initiator.id) throw new Problem(404, "There is no such session.");
      if (!threads.has(session.id)) threads.set(session.id, threadsOf(session, session.threads));
      const all = threads.get(session.id);
      const from = query.has("after_id") ? all.findIndex((thread) => thread.id === query.get("after_id")) + 1 : 0;
      const limit = Number(query.get("limit") ?? 50);
      const { last_prompt: _, ...head } = session;
      return { ...head, token_usage_summary: { ...session.token_usage_summary, metadata: {} }, threads: all.slice(from, from + limit), has_more: all.length > from + limit };
    }],
    ["GET", "/aibridge/models", () => (known(), values((session) => session.models))],
    ["GET", "/aibridge/clients", () => (known(), values((session) => session.client ?? "Unknown"))],
  ];
}

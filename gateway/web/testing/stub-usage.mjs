// The stub's money: limits and costs in the server's shapes, with invented figures that add up.
import { randomUUID } from "node:crypto";

const DAY = 86_400_000;
const DOLLAR = 1_000_000;
const MODELS = [
  ["Claude Sonnet 4.5", "anthropic", "claude-sonnet-4-5", 0.62],
  ["GPT-5", "openai", "gpt-5", 0.3],
  ["Qwen 3 8B", "openai-compat", "qwen3:8b", 0.08],
];
const CHATS = [["Migrate the billing tables", 0.44], ["Why is the build slow?", 0.31], ["Write release notes for 0.4", 0.17], ["Compare `argon2` parameters", 0.08]];
const OTHERS = [["dana", "Dana Okafor", 2.1], ["linus.w", "Linus Weber", 1.4], ["mei", "Mei Tanaka", 0.6], ["sam", "", 0.02]];

/** What one person of weight 1 spends on the day so many days after 1970: busy weekdays, quiet weekends. */
function costOfDay(day) {
  const weekday = (day + 4) % 7;
  const isQuiet = weekday === 0 || weekday === 6;
  return Math.round((isQuiet ? 0.04 : 0.55 + 0.4 * Math.sin(day * 1.7)) * DOLLAR);
}

function costOf(start, end, weight) {
  let micros = 0;
  for (let day = Math.floor(Date.parse(start) / DAY); day * DAY < Math.min(Date.parse(end), Date.now()); day += 1) micros += costOfDay(day);
  return Math.round(micros * weight);
}

const figures = (micros) => ({
  total_cost_micros: Math.round(micros),
  message_count: Math.ceil(micros / 40_000),
  total_input_tokens: Math.round(micros / 8),
  total_output_tokens: Math.round(micros / 60),
  total_cache_read_tokens: Math.round(micros / 3),
  total_cache_creation_tokens: Math.round(micros / 30),
  total_runtime_ms: Math.round(micros / 20),
});

/** Routes and the refusal of sends. `SPENT=1` begins with a limit that is reached, `LIMIT=1` with one that is not, `OLD=1` has no such routes. */
export function usage({ me, Problem, usersOf, organizations }) {
  const spent = process.env.SPENT === "1";
  const limits = { spend_limit_micros: spent ? 2 * DOLLAR : process.env.LIMIT === "1" ? 20 * DOLLAR : null, period: spent || process.env.LIMIT === "1" ? "month" : "", updated_at: new Date().toISOString() };
  const overrides = new Map();
  const groups = new Map();
  const others = OTHERS.map(([username, name, weight]) => ({ id: randomUUID(), username, name, weight }));
  const known = () => {
    if (process.env.OLD) throw new Problem(404, "Route not found.");
  };
  const everybody = () => [...usersOf().map((user) => ({ ...user, weight: user.id === me.id ? 1 : 0 })), ...others];
  const find = (id) => everybody().find((user) => [user.id, user.username].includes(id === "me" ? me.id : id));
  const monthOf = (now = new Date()) => [Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1), Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)].map((at) => new Date(at).toISOString());
  const status = () => {
    const [period_start, period_end] = monthOf();
    const limit = overrides.get(me.id) ?? limits.spend_limit_micros;
    if (limit === null) return { is_limited: false, current_spend: 0, period_start: "0001-01-01T00:00:00Z", period_end: "0001-01-01T00:00:00Z" };
    return { is_limited: true, period: limits.period || "month", spend_limit_micros: limit, current_spend: spent ? Math.max(limit, 2.03 * DOLLAR) : costOf(period_start, period_end, 1), period_start, period_end };
  };
  const overridesList = () => [...overrides].map(([user_id, spend_limit_micros]) => ({ user_id, username: find(user_id).username, name: find(user_id).name, avatar_url: "", spend_limit_micros }));
  const groupsList = () =>
    [...groups].map(([group_id, spend_limit_micros]) => {
      const { name, display_name } = organizations.find(({ id }) => id === group_id);
      return { group_id, group_name: name, group_display_name: display_name, group_avatar_url: "", member_count: 5, spend_limit_micros };
    });
  const routes = [
    ["GET", "/chats/usage-limits", () => (known(), { ...limits, unpriced_model_count: 1, overrides: overridesList(), group_overrides: groupsList() })],
    ["PUT", "/chats/usage-limits", ({ body }) => (known(), Object.assign(limits, body))],
    ["GET", "/chats/usage-limits/status", () => (known(), status())],
    ["PUT", "/chats/usage-limits/overrides/:id", ({ id, body }) => {
      if (!find(id)) throw new Problem(404, "No such user.");
      overrides.set(id, body.spend_limit_micros);
      return overridesList().find((one) => one.user_id === id);
    }],
    ["DELETE", "/chats/usage-limits/overrides/:id", ({ id }) => {
      if (!overrides.delete(id)) throw new Problem(400, "This user has no limit of their own.");
    }],
    ["PUT", "/chats/usage-limits/group-overrides/:id", ({ id, body }) => {
      if (!organizations.some((one) => one.id === id)) throw new Problem(404, "No such group.");
      groups.set(id, body.spend_limit_micros);
      return groupsList().find((one) => one.group_id === id);
    }],
    ["DELETE", "/chats/usage-limits/group-overrides/:id", ({ id }) => {
      if (!groups.delete(id)) throw new Problem(400, "This group has no limit of its own.");
    }],
    ["GET", "/chats/cost/users", ({ query }) => {
      known();
      const words = (query.get("username") ?? "").toLowerCase();
      const all = everybody().filter((user) => `${user.username} ${user.name}`.toLowerCase().includes(words) && user.weight > 0);
      const users = all.map((user) => ({ user_id: user.id, username: user.username, name: user.name, avatar_url: "", chat_count: Math.ceil(user.weight * 4), ...figures(costOf(query.get("start_date"), query.get("end_date"), user.weight)) }));
      const offset = Number(query.get("offset") ?? 0);
      return { start_date: query.get("start_date"), end_date: query.get("end_date"), count: users.length, users: users.toSorted((a, b) => b.total_cost_micros - a.total_cost_micros).slice(offset, offset + Number(query.get("limit") ?? 10)) };
    }],
    ["GET", "/chats/cost/:id/summary", ({ id, query }) => {
      known();
      const user = find(id);
      if (!user) throw new Problem(404, "No such user.");
      const [start_date, end_date] = [query.get("start_date"), query.get("end_date")];
      const micros = costOf(start_date, end_date, user.weight);
      const total = figures(micros);
      const rows = (list, row) => (micros === 0 ? [] : list.map((one) => ({ ...figures(micros * one.at(-1)), ...row(one) })));
      return {
        start_date,
        end_date,
        ...total,
        priced_message_count: total.message_count,
        unpriced_message_count: 3,
        by_model: rows(MODELS, ([display_name, provider, model]) => ({ model_config_id: model, display_name, provider, model })),
        by_chat: rows(CHATS, ([chat_title]) => ({ root_chat_id: randomUUID(), chat_title })),
      };
    }],
  ];
  /** Throws the refusal when nothing more may be spent. */
  const charge = () => {
    const { is_limited, spend_limit_micros, current_spend, period_end } = status();
    if (!is_limited || current_spend < spend_limit_micros) return;
    throw Object.assign(new Problem(409, "Chat usage limit exceeded."), { more: { spent_micros: current_spend, limit_micros: spend_limit_micros, resets_at: period_end } });
  };
  return { routes, charge };
}

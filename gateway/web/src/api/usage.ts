// What was spent, and what may be. Amounts are micros: millionths of a US dollar.
import { call } from "./client.ts";

export type Period = "day" | "week" | "month";

/** The caller's own limit; only `is_limited` when there is none. */
export interface UsageStatus {
  is_limited: boolean;
  period?: Period;
  spend_limit_micros?: number | null;
  current_spend: number;
  period_start: string;
  period_end: string;
}

export interface UserLimit {
  user_id: string;
  username: string;
  name: string;
  spend_limit_micros?: number | null;
}

export interface GroupLimit {
  group_id: string;
  group_name: string;
  group_display_name: string;
  member_count: number;
  spend_limit_micros?: number | null;
}

export interface UsageLimits {
  /** `null`: everybody may spend as they like. */
  spend_limit_micros: number | null;
  /** Empty while no limit was ever set. */
  period: Period | "";
  unpriced_model_count: number;
  overrides: UserLimit[];
  group_overrides: GroupLimit[];
}

export interface Spent {
  total_cost_micros: number;
  total_input_tokens: number;
  total_output_tokens: number;
  total_cache_read_tokens: number;
  total_cache_creation_tokens: number;
}

export interface ModelSpend extends Spent {
  model_config_id: string;
  display_name: string;
  provider: string;
  model: string;
  message_count: number;
}

export interface ChatSpend extends Spent {
  root_chat_id: string;
  chat_title: string;
  message_count: number;
}

export interface CostSummary extends Spent {
  start_date: string;
  end_date: string;
  priced_message_count: number;
  unpriced_message_count: number;
  by_model: ModelSpend[];
  by_chat: ChatSpend[];
}

export interface UserSpend extends Spent {
  user_id: string;
  username: string;
  name: string;
  message_count: number;
  chat_count: number;
}

export interface CostUsers {
  /** Of all users that match, not of this page. */
  count: number;
  users: UserSpend[];
}

/** From `start` on, before `end`; RFC 3339. */
export interface Span {
  start: string;
  end: string;
}

export const USERS_PER_PAGE = 10;

const limitOf = (user: string) => `/chats/usage-limits/overrides/${encodeURIComponent(user)}`;
const limitOfGroup = (group: string) => `/chats/usage-limits/group-overrides/${encodeURIComponent(group)}`;
const days = ({ start, end }: Span) => ({ start_date: start, end_date: end });

export const getUsageStatus = () => call<UsageStatus>("GET", "/chats/usage-limits/status");
export const getUsageLimits = () => call<UsageLimits>("GET", "/chats/usage-limits");
/** `null` lifts the limit. */
export const putUsageLimit = (micros: number | null, period: Period) =>
  call<unknown>("PUT", "/chats/usage-limits", { body: { spend_limit_micros: micros, period } });
export const putUserLimit = (user: string, micros: number) => call<unknown>("PUT", limitOf(user), { body: { spend_limit_micros: micros } });
export const deleteUserLimit = (user: string) => call<void>("DELETE", limitOf(user));
/** A group is an organization, and the limit that of each member. */
export const putGroupLimit = (group: string, micros: number) => call<unknown>("PUT", limitOfGroup(group), { body: { spend_limit_micros: micros } });
export const deleteGroupLimit = (group: string) => call<void>("DELETE", limitOfGroup(group));

/** `user` is an id, a name or `me`. */
export const getCostSummary = (user: string, span: Span) =>
  call<CostSummary>("GET", `/chats/cost/${encodeURIComponent(user)}/summary`, { query: days(span) });
/** Most expensive first. `words` are part of a user name or name. */
export const listCostUsers = (span: Span, words: string, offset: number) =>
  call<CostUsers>("GET", "/chats/cost/users", { query: { ...days(span), username: words || undefined, limit: USERS_PER_PAGE, offset } });

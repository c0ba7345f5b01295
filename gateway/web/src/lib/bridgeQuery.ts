// Which sessions of the AI gateway are looked at, as the server's query. Pure.

export interface SessionFilter {
  client: string;
  model: string;
  /** A provider's name. */
  provider: string;
  /** A user name, or `me`. */
  user: string;
  /** Hours back from now; 0: all. */
  hours: number;
}

export const NO_FILTER: SessionFilter = { client: "", model: "", provider: "", user: "", hours: 0 };

export const isFiltered = (filter: SessionFilter): boolean => Object.entries(filter).some(([key, value]) => value !== NO_FILTER[key as keyof SessionFilter]);

const HOUR_MS = 3_600_000;
/** So that the query stays the same for a while. */
const STEP_MS = 60_000;

/** `key:value` terms; empty for everything. */
export function sessionQuery({ client, model, provider, user, hours }: SessionFilter, now: number): string {
  const after = hours > 0 ? new Date(Math.floor(now / STEP_MS) * STEP_MS - hours * HOUR_MS).toISOString() : "";
  const terms: [string, string][] = [
    ["client", client],
    ["model", model],
    ["provider_name", provider],
    ["initiator", user],
    ["started_after", after],
  ];
  return terms.flatMap(([key, value]) => (value === "" ? [] : [`${key}:${quoted(value)}`])).join(" ");
}

function quoted(value: string): string {
  return /[\s:]/.test(value) ? `"${value.replaceAll('"', "")}"` : value;
}

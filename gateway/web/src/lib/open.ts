// Reading values whose shape nobody promises: tool arguments and results.

export type Open = Readonly<Record<string, unknown>>;

export function open(value: unknown): Open {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Open) : {};
}

export function str(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function num(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** JSON for people: indented; text stays text. */
export function pretty(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
}

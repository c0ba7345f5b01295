// Turns a failed HTTP answer into one error type the UI can speak about. Owns no wording beyond the fallback for answers that say nothing.

import { exactTime } from "@/lib/time.ts";

export interface Violation {
  field: string;
  detail: string;
}

/** A spending limit that is reached; amounts are millionths of a US dollar. */
export interface SpentUp {
  spentMicros: number;
  limitMicros: number;
  /** RFC 3339. */
  resetsAt: string;
}

/** Status 0: the server could not be reached at all. */
export const UNREACHABLE = 0;

export class ApiError extends Error {
  readonly status: number;
  readonly detail: string;
  readonly violations: readonly Violation[];
  /** Why nothing more is done for now; `null` for every other refusal. */
  readonly spentUp: SpentUp | null;

  constructor(status: number, message: string, detail = "", violations: readonly Violation[] = [], spentUp: SpentUp | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.detail = detail;
    this.violations = violations;
    this.spentUp = spentUp;
  }

  get isUnreachable(): boolean {
    return this.status === UNREACHABLE;
  }

  /** The answer got lost on its way, so nobody here knows whether the server did what was asked. */
  get mayHaveHappened(): boolean {
    return [UNREACHABLE, 408, 502, 504].includes(this.status);
  }
}

export function unreachable(): ApiError {
  return new ApiError(UNREACHABLE, "The server cannot be reached.", "Check that Tandem is running and that this device is online.");
}

/** This server has no such route: an older one, or one in which the feature is off. */
export function isNotServed(error: unknown): boolean {
  return error instanceof ApiError && [404, 405, 501].includes(error.status);
}

/** Reads `{message, detail, validations}` and problem+json; anything else becomes a plain sentence with the status. */
export function problemFrom(status: number, body: string): ApiError {
  const parsed = parseObject(body);
  const message = text(parsed, "message") || text(parsed, "title") || fallback(status);
  const list = parsed?.["validations"];
  const violations = Array.isArray(list) ? list.flatMap(toViolation) : [];
  return new ApiError(status, message, text(parsed, "detail") || resetsAt(parsed), violations, status === 409 ? toSpentUp(parsed) : null);
}

/** One sentence for a person, whatever was thrown. */
export function describe(error: unknown): string {
  if (error instanceof ApiError) {
    // Some servers say it once more about the field.
    const isSaid = error.violations.some((v) => v.detail !== "" && error.message.includes(v.detail));
    const fields = error.violations.map((v) => v.detail).filter((detail) => detail !== "" && !error.message.includes(detail));
    const extra = fields.length > 0 ? fields.join(" ") : isSaid ? "" : error.detail;
    return extra && extra !== error.message ? `${withStop(error.message)} ${extra}` : error.message;
  }
  return error instanceof Error ? error.message : "Something went wrong.";
}

/** A spending limit says when it ends. */
function resetsAt(parsed: Record<string, unknown> | undefined): string {
  const at = exactTime(text(parsed, "resets_at"));
  return at === "" ? "" : `The limit resets on ${at}.`;
}

/** Other conflicts do not say when they end. */
function toSpentUp(parsed: Record<string, unknown> | undefined): SpentUp | null {
  const [spent, limit, resets] = [parsed?.["spent_micros"], parsed?.["limit_micros"], text(parsed, "resets_at")];
  return typeof spent === "number" && typeof limit === "number" && resets !== "" ? { spentMicros: spent, limitMicros: limit, resetsAt: resets } : null;
}

function withStop(sentence: string): string {
  return /[.!?:]$/.test(sentence) ? sentence : `${sentence}.`;
}

function fallback(status: number): string {
  if (status === 401) return "You are signed out.";
  if (status === 404) return "Not found.";
  if (status === 413) return "That is too large.";
  if (status === 429) return "Too many requests. Wait a moment and try again.";
  if (status >= 502 && status <= 504) return "The server is not ready. Try again in a moment.";
  return `The server answered with status ${status}.`;
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function text(object: Record<string, unknown> | undefined, key: string): string {
  const value = object?.[key];
  return typeof value === "string" ? value.trim() : "";
}

function toViolation(value: unknown): Violation[] {
  if (typeof value !== "object" || value === null) return [];
  const entry = value as Record<string, unknown>;
  return [{ field: text(entry, "field"), detail: text(entry, "detail") }];
}

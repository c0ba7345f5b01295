// The one door to the server: a `fetch` wrapper that speaks JSON, gives every call a deadline and throws `ApiError`.
import { ApiError, problemFrom, unreachable } from "./problem.ts";

export const API_BASE = "/api/v1";

/** No call may hang longer than this, uploads excepted. */
export const CALL_DEADLINE_MS = 30_000;
export const UPLOAD_DEADLINE_MS = 120_000;

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface CallOptions {
  body?: unknown;
  /** A list becomes the same parameter several times. */
  query?: Record<string, string | number | readonly string[] | undefined>;
  /** Raw bytes instead of JSON, with their headers. */
  upload?: { bytes: Blob; headers: Record<string, string> };
  /** Names what the reader wants to happen once: the same key on every attempt, so that a server can tell a repetition. */
  idempotencyKey?: string | undefined;
  deadlineMs?: number;
}

let onSignedOut: () => void = () => undefined;

/** Called whenever the server says 401 outside of signing in. */
export function setSignedOutHandler(handler: () => void): void {
  onSignedOut = handler;
}

export async function call<T>(method: Method, path: string, options: CallOptions = {}): Promise<T> {
  const response = await send(method, path, options);
  const body = await response.text().catch(() => {
    // The connection broke in mid-answer: what it would have said is unknown.
    throw unreachable();
  });
  if (!response.ok) {
    if (response.status === 401 && path !== "/users/login") onSignedOut();
    throw problemFrom(response.status, body);
  }
  return parseAnswer<T>(response.status, body);
}

/** The content of a file that is text, at most `maxBytes` of it. */
export async function readText(path: string, maxBytes: number): Promise<string> {
  const response = await send("GET", path, {});
  if (!response.ok) throw problemFrom(response.status, await response.text().catch(() => ""));
  const blob = await response.blob().catch(() => {
    throw unreachable();
  });
  return blob.slice(0, maxBytes).text();
}

async function send(method: Method, path: string, options: CallOptions): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.idempotencyKey) headers["Idempotency-Key"] = options.idempotencyKey;
  let body: BodyInit | null = null;
  if (options.upload) {
    Object.assign(headers, options.upload.headers);
    body = options.upload.bytes;
  } else if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.body);
  }
  const deadline = options.deadlineMs ?? (options.upload ? UPLOAD_DEADLINE_MS : CALL_DEADLINE_MS);
  try {
    return await fetch(API_BASE + path + queryText(options.query), {
      method,
      headers,
      body,
      credentials: "same-origin",
      signal: AbortSignal.timeout(deadline),
    });
  } catch {
    throw unreachable();
  }
}

function parseAnswer<T>(status: number, body: string): T {
  if (body.trim() === "") return undefined as T;
  try {
    return JSON.parse(body) as T;
  } catch {
    throw new ApiError(status, "The server's answer could not be read.", "Something between this page and Tandem may have changed it.");
  }
}

function queryText(query: CallOptions["query"]): string {
  const entries = Object.entries(query ?? {}).flatMap(([key, value]) => {
    if (value === undefined) return [];
    return typeof value === "object" ? value.map((one) => [key, one]) : [[key, String(value)]];
  });
  return entries.length > 0 ? `?${new URLSearchParams(entries).toString()}` : "";
}

/** The absolute address of a WebSocket route. */
export function socketUrl(path: string, query: CallOptions["query"] = {}): string {
  const url = new URL(API_BASE + path + queryText(query), window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.toString();
}

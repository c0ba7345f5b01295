// What a reader wanted to send and the server has not confirmed yet, with the one key all attempts carry. Kept per draft in
// this browser, so that a reload repeats the attempt and not the message.

const PREFIX = "tandem.intent.";
/** Servers forget keys; after this long the same text is a new wish. */
export const FORGET_AFTER_MS = 12 * 3_600_000;

/** The newest things in a chat before the attempt. What is newer may be the message itself. */
export interface Mark {
  messageId: number;
  queuedId: number;
}

export interface Wish {
  /** The text alone. */
  words: string;
  /** Everything that makes this wish this one. */
  fingerprint: string;
  /** Absent when nobody knew the chat yet. */
  mark?: Mark | undefined;
}

export interface Intent extends Wish {
  key: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** The unconfirmed wish with this fingerprint, or a new one in its place. */
export function intentFor(draftKey: string, wish: Wish, now: number): Intent {
  const old = pendingIntent(draftKey, now);
  if (old?.fingerprint === wish.fingerprint) return old;
  const intent: Intent = { key: newKey(), ...wish, at: now };
  try {
    localStorage.setItem(PREFIX + draftKey, JSON.stringify(intent));
  } catch {
    // Storage may be full or forbidden: then every attempt is a wish of its own.
  }
  return intent;
}

export function pendingIntent(draftKey: string, now: number): Intent | null {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(PREFIX + draftKey) ?? "null");
    return isIntent(value) && now - value.at < FORGET_AFTER_MS ? value : null;
  } catch {
    return null;
  }
}

/** The server has it. */
export function settleIntent(draftKey: string): void {
  try {
    localStorage.removeItem(PREFIX + draftKey);
  } catch {
    // Nothing was kept either.
  }
}

/** A random UUID; browsers offer `randomUUID` only to pages that came over TLS or from this machine. */
export function newKey(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function isIntent(value: unknown): value is Intent {
  if (typeof value !== "object" || value === null) return false;
  const intent = value as Partial<Intent>;
  return typeof intent.key === "string" && typeof intent.words === "string" && typeof intent.fingerprint === "string" && typeof intent.at === "number";
}

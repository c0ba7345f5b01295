import { afterEach, describe, expect, it, vi } from "vitest";
import { FORGET_AFTER_MS, intentFor, newKey, pendingIntent, settleIntent } from "./intents.ts";

const MARK = { messageId: 7, queuedId: 0 };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const wish = (words: string) => ({ words, fingerprint: words, mark: MARK });

afterEach(() => vi.unstubAllGlobals());

describe("an unconfirmed message", () => {
  it("keeps its key for every attempt, also after a reload", () => {
    const first = intentFor("c", wish("hello"), 1_000);
    expect(first.key).toMatch(UUID);
    expect(intentFor("c", { ...wish("hello"), mark: { messageId: 9, queuedId: 1 } }, 2_000)).toEqual(first);
    expect(pendingIntent("c", 3_000)).toEqual(first);
  });

  it("is another one when anything about it changes, in another chat, and once it was confirmed", () => {
    const { key } = intentFor("c", wish("hello"), 0);
    expect(intentFor("d", wish("hello"), 0).key).not.toBe(key);
    const changed = intentFor("c", wish("hello!"), 0);
    expect(changed.key).not.toBe(key);
    settleIntent("c");
    expect(pendingIntent("c", 0)).toBeNull();
    expect(intentFor("c", wish("hello!"), 0).key).not.toBe(changed.key);
  });

  it("is forgotten when the server will have forgotten it", () => {
    intentFor("c", wish("hello"), 0);
    expect(pendingIntent("c", FORGET_AFTER_MS)).toBeNull();
  });

  it("survives a damaged store and a forbidden one", () => {
    localStorage.setItem("tandem.intent.c", "{");
    expect(pendingIntent("c", 0)).toBeNull();
    vi.stubGlobal("localStorage", { getItem: () => { throw new Error("no"); }, setItem: () => { throw new Error("no"); } });
    expect(intentFor("c", wish("hello"), 0).key).toMatch(UUID);
  });

  it("has a key of the right form on pages without randomUUID", () => {
    vi.stubGlobal("crypto", { getRandomValues: (bytes: Uint8Array) => bytes.fill(255) });
    expect(newKey()).toBe("ffffffff-ffff-4fff-bfff-ffffffffffff");
  });
});

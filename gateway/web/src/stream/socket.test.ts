import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MAX_DELAY_MS, retryDelay } from "./backoff.ts";
import { type Connection, ReconnectingSocket, SILENCE_MS } from "./socket.ts";

class FakeSocket extends EventTarget {
  static made: FakeSocket[] = [];
  static readonly OPEN = 1;
  readyState = 0;
  readonly url: string;
  constructor(url: string) {
    super();
    this.url = url;
    FakeSocket.made.push(this);
  }
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  say(data: string) {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }
}

const last = (): FakeSocket => {
  const socket = FakeSocket.made.at(-1);
  if (!socket) throw new Error("no socket was made");
  return socket;
};

function start(mayRetry = async () => true) {
  const phases: Connection["phase"][] = [];
  const frames: string[] = [];
  let cursor = 0;
  const socket = new ReconnectingSocket({
    url: () => `ws://x/?after=${String(cursor)}`,
    opened: () => undefined,
    frame: (text) => {
      frames.push(text);
      cursor += 1;
      return text === "beat";
    },
    changed: (connection) => phases.push(connection.phase),
    mayRetry,
  });
  socket.start();
  return { socket, phases, frames };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.made = [];
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the reconnecting socket", () => {
  it("comes back after a loss, asking for the newest position", async () => {
    const { phases, socket } = start();
    last().open();
    last().say("a");
    last().close();
    await vi.advanceTimersByTimeAsync(MAX_DELAY_MS);
    expect(FakeSocket.made).toHaveLength(2);
    expect(last().url).toContain("after=1");
    last().open();
    expect(phases.at(-1)).toBe("live");
    expect(phases).toContain("reconnecting");
    socket.stop();
  });

  it("gives a connection up when its heartbeats stop", async () => {
    const { socket } = start();
    last().open();
    last().say("beat");
    await vi.advanceTimersByTimeAsync(SILENCE_MS + MAX_DELAY_MS);
    expect(FakeSocket.made.length).toBeGreaterThan(1);
    socket.stop();
  });

  it("leaves a quiet connection alone when the server sends no heartbeats", async () => {
    const { socket } = start();
    last().open();
    await vi.advanceTimersByTimeAsync(10 * SILENCE_MS);
    expect(FakeSocket.made).toHaveLength(1);
    socket.stop();
  });

  it("stops for good when trying again is useless", async () => {
    const { phases } = start(async () => false);
    last().close();
    await vi.advanceTimersByTimeAsync(10 * MAX_DELAY_MS);
    expect(FakeSocket.made).toHaveLength(1);
    expect(phases.at(-1)).toBe("closed");
  });

  it("tries at once when it is asked to, and never twice at a time", async () => {
    const { socket } = start();
    last().open();
    last().close();
    await vi.advanceTimersByTimeAsync(0);
    socket.retryNow();
    socket.retryNow();
    expect(FakeSocket.made).toHaveLength(2);
    socket.stop();
  });

  it("ignores what an abandoned connection still says", async () => {
    const { frames, socket } = start();
    const first = last();
    first.open();
    socket.stop();
    first.say("late");
    expect(frames).toEqual([]);
  });
});

describe("the delay between attempts", () => {
  it("grows, is spread by half of itself and has an end", () => {
    expect([0, 1, 2].map((n) => retryDelay(n, 0))).toEqual([250, 500, 1_000]);
    expect(retryDelay(0, 0.999)).toBeGreaterThan(retryDelay(0, 0));
    expect(retryDelay(1_000, 0.999_9)).toBeLessThanOrEqual(MAX_DELAY_MS);
  });
});

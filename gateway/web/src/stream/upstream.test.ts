import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readReport } from "@/api/health.ts";
import { ASK_AGAIN_MS, DOUBT_AFTER_MS, UpstreamWatch } from "./upstream.ts";

const START = 1_000_000;
let answer: boolean | null = false;
let expected: number | null = null;
const ask = vi.fn<() => Promise<boolean | null>>(async () => answer);
const changed = vi.fn<(lostAt: number | null) => void>();
let watch: UpstreamWatch;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  [answer, expected] = [false, null];
  ask.mockClear();
  changed.mockClear();
  watch = new UpstreamWatch({ ask, changed, expectedSince: () => expected });
  watch.start();
});
afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the watch over what is behind the server", () => {
  it("asks nothing while nothing is expected", async () => {
    await pass(60_000);
    expect(ask).not.toHaveBeenCalled();
  });

  it("asks once what is expected stays away, and tells since when it is lost", async () => {
    answer = true;
    expected = START;
    await pass(DOUBT_AFTER_MS - 1);
    expect(ask).not.toHaveBeenCalled();
    await pass(1);
    expect(changed).toHaveBeenLastCalledWith(START + DOUBT_AFTER_MS);
    await pass(ASK_AGAIN_MS);
    expect(ask).toHaveBeenCalledTimes(2);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it("asks on until it is back, also when nothing is expected any more", async () => {
    answer = true;
    await watch.check();
    answer = null;
    await pass(ASK_AGAIN_MS);
    expect(changed).toHaveBeenCalledTimes(1);
    answer = false;
    await pass(ASK_AGAIN_MS);
    expect(changed).toHaveBeenLastCalledWith(null);
  });

  it("believes what comes through, and nothing that comes after its end", async () => {
    answer = true;
    await watch.check();
    watch.heard();
    expect(changed).toHaveBeenLastCalledWith(null);
    const late = watch.check();
    watch.stop();
    await late;
    expect(changed).toHaveBeenCalledTimes(2);
  });
});

describe("the report on readiness", () => {
  const gateway = (failing: object) => ({ is_ready: false, components: { gateway: { is_serving: true, failing } } });

  it("tells a loss only of what brings events", () => {
    expect(readReport({ is_ready: true, components: {} })).toBe(false);
    expect(readReport(gateway({ orchestrator: "not to be reached" }))).toBe(true);
    expect(readReport(gateway({ "provider-gateway": "not to be reached" }))).toBe(false);
    expect(readReport({ is_ready: false, components: { orchestrator: { is_serving: false }, gateway: { is_serving: true } } })).toBe(true);
  });

  it("tells nothing when it is none", () => {
    for (const odd of [null, "ok", {}, [], { is_ready: "no" }]) expect(readReport(odd)).toBeNull();
  });
});

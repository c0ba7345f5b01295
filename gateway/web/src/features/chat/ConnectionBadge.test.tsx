import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Connection } from "@/stream/socket.ts";
import { ConnectionBadge } from "./ConnectionBadge.tsx";

const START = 1_000_000;
const lost = (waits: number): Connection => ({ phase: "reconnecting", since: START, retryAt: START + waits });

beforeEach(() => {
  vi.useFakeTimers({ now: START });
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (ms: number) => act(() => vi.advanceTimersByTime(ms));
const text = () => document.body.textContent;

describe("a lost connection", () => {
  it("is not worth a word while it is short", () => {
    render(<ConnectionBadge upstreamLostAt={null} connection={lost(4_000)} onRetry={() => undefined} />);
    pass(1_000);
    expect(screen.getByRole("status").textContent).toBe("Live");
  });

  it("counts down to the next attempt and up from the loss", () => {
    render(<ConnectionBadge upstreamLostAt={null} connection={lost(9_000)} onRetry={() => undefined} />);
    pass(2_000);
    expect(text()).toContain("in 7 s · lost 2 s ago");
    pass(4_000);
    expect(text()).toContain("in 3 s · lost 6 s ago");
    pass(4_000);
    expect(text()).toContain("now · lost 10 s ago");
  });

  it("can be tried at once", () => {
    const onRetry = vi.fn<() => void>();
    render(<ConnectionBadge upstreamLostAt={null} connection={lost(9_000)} onRetry={onRetry} />);
    pass(2_000);
    fireEvent.click(screen.getByRole("button", { name: "Try now" }));
    expect(onRetry).toHaveBeenCalledTimes(1);
  });

  it("promises no attempt while the device is offline", () => {
    render(<ConnectionBadge upstreamLostAt={null} connection={{ phase: "offline", since: START }} onRetry={() => undefined} />);
    pass(3_000);
    expect(screen.getByRole("status").textContent).toBe("Offline");
    expect(text()).not.toMatch(/in \d|now ·/);
  });
});

describe("an open connection through which nothing can come", () => {
  const show = (upstreamLostAt: number | null) => <ConnectionBadge connection={{ phase: "live" }} upstreamLostAt={upstreamLostAt} onRetry={() => undefined} />;

  it("is not called live, and is again once something can", () => {
    const { rerender } = render(show(START));
    pass(1_000);
    expect(screen.getByRole("status").textContent).toBe("Live");
    pass(2_000);
    expect(screen.getByRole("status").textContent).toBe("Not live");
    expect(text()).toContain("agents out of reach for 3 s");
    rerender(show(null));
    expect(screen.getByRole("status").textContent).toBe("Live");
  });
});

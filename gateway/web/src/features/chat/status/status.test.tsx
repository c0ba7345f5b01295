import { cleanup, render, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { call, events, liveView, message, NOW, play, text } from "@/testing/fixtures.ts";
import { parseEvent } from "@/stream/events.ts";
import { connected, initialView } from "@/stream/reduce.ts";
import { timeline } from "@/stream/timeline.ts";
import type { ChatView } from "@/stream/view.ts";
import { statusText } from "../Announcer.tsx";
import { doing } from "./doing.ts";
import { retryProgress } from "./retryProgress.ts";
import type { TurnEnd } from "./stopped.ts";
import { TurnStatus } from "./TurnStatus.tsx";

const RETRY = { attempt: 2, delay_ms: 12_000, error: "The provider is overloaded.", kind: "overloaded", provider: "anthropic", status_code: 529, retrying_at: "2026-11-21T10:00:12.000Z" };
const retry = parseEvent({ type: "retry", retry: RETRY });
const at = (seconds: number) => Date.parse(NOW) + seconds * 1_000;

const failed = play(
  liveView(message(1, "user", text("hi"))),
  parseEvent({ type: "error", error: { message: "Too fast.", detail: "rate_limit_exceeded", kind: "rate_limit", provider: "openai", retryable: true, status_code: 429 } }),
  events.status("error"),
);

function show(view: ChatView, change: { end?: TurnEnd; newsAt?: number } = {}) {
  render(<TurnStatus chatId="c" view={view} rows={timeline(view)} isCompacting={false} stopping={false} end={change.end ?? "finished"} newsAt={change.newsAt ?? 0} onRetry={async () => undefined} onStop={() => undefined} />);
}

describe("the wait for another attempt", () => {
  it("counts the attempts that were made and the seconds that are left", () => {
    expect(retryProgress(RETRY, at(0))).toEqual({ attempt: 3, secondsLeft: 12, share: 0 });
    expect(retryProgress(RETRY, at(9.2))).toMatchObject({ secondsLeft: 3 });
    expect(retryProgress(RETRY, at(60))).toEqual({ attempt: 3, secondsLeft: 0, share: 1 });
    expect(retryProgress({ ...RETRY, retrying_at: "soon", delay_ms: 0 }, at(0))).toEqual({ attempt: 3, secondsLeft: 0, share: 1 });
  });

  it("is never longer than announced, however wrong this device's clock is", () => {
    expect(retryProgress(RETRY, at(-3_600))).toEqual({ attempt: 3, secondsLeft: 12, share: 0 });
    expect(retryProgress(RETRY, at(3_600))).toEqual({ attempt: 3, secondsLeft: 0, share: 1 });
    expect(retryProgress({ ...RETRY, delay_ms: 0 }, at(-3_600))).toEqual({ attempt: 3, secondsLeft: 0, share: 1 });
  });

  it("is shown with its attempt and its reason, also to a page that has just loaded", () => {
    vi.spyOn(Date, "now").mockReturnValue(at(2));
    const loaded = play(connected(initialView("running"), false), events.status("running"), events.message(message(1, "assistant", text("before"))), retry, events.queue());
    show(loaded);
    expect(screen.getByText("Anthropic is overloaded")).toBeTruthy();
    expect(screen.getByText("Attempt 3")).toBeTruthy();
    expect(screen.getByText("in 10 s")).toBeTruthy();
    expect(screen.getByText(/status 529/)).toBeTruthy();
  });

  it("survives a snapshot that tells it before its messages", () => {
    const view = play(connected(initialView("running"), false), events.status("running"), retry, events.message(message(1, "assistant", text("before"))), events.queue());
    expect(view.retry?.attempt).toBe(2);
    expect(play(view, events.message(message(2, "assistant", text("done")))).retry).toBeNull();
  });
});

describe("a failed turn", () => {
  it("shows every fact of the error and the way on", () => {
    show({ ...failed, queue: [{ id: 1, chat_id: "c", content: [], created_at: NOW }] });
    const facts = [...document.querySelectorAll("dl > div")].map((fact) => fact.textContent);
    expect(facts).toEqual(["Kindrate limit", "ProviderOpenAI", "Status429", "Retryableyes"]);
    expect(screen.getByText(/Too fast\./)).toBeTruthy();
    expect(screen.getByText(/The waiting message is held back until then/)).toBeTruthy();
    expect(screen.getByRole("button", { name: "Retry" })).toBeTruthy();
  });
});

describe("what a screen reader hears", () => {
  const asked = liveView(message(1, "user", text("hi")));
  const heard = (view: ChatView) => statusText(view, timeline(view));

  it("is what the agent does, not what it writes, and then the answer", () => {
    expect(heard(play(asked, events.part(text("Once upon"))))).toBe("Writing.");
    expect(heard(play(asked, events.part(text("Once upon a time"))))).toBe("Writing.");
    expect(heard(play(asked, events.message(message(2, "assistant", text("Once upon a time."))), events.status("waiting")))).toBe("The agent is done. Once upon a time.");
  });

  it("names the attempt and the failure", () => {
    expect(heard(play(asked, retry))).toBe("The provider is overloaded. Attempt 3 follows.");
    expect(heard(failed)).toBe("The turn failed: OpenAI limits how often it may be asked.");
  });
});

describe("a turn that needs somebody", () => {
  const wait = (approval?: object) => [events.status("requires_action"), parseEvent({ type: "action_required", action_required: { tool_calls: [{ tool_call_id: "a", tool_name: "look_up", args: "{}", ...(approval && { approval }) }] } })];
  const called = liveView(message(1, "user", text("hi")), message(2, "assistant", call("a")));
  const heard = (view: ChatView) => statusText(view, timeline(view));

  it("names the program's tools, and says nothing of programs while nobody knows", () => {
    show(play(called, ...wait()));
    expect(screen.getByText(/must answer: look_up\./)).toBeTruthy();
    cleanup();
    show(play(called, events.status("requires_action")));
    expect(screen.queryByText(/program/)).toBeNull();
    expect(screen.getByText("Waiting for an answer")).toBeTruthy();
  });

  it("is heard as what is asked, and why", () => {
    expect(heard(play(called, ...wait()))).toBe("The agent waits for an answer from outside.");
    expect(heard(play(called, ...wait({ digest: "1", risk: "changes", reason: "It writes to a file" })))).toBe("A call waits for your approval: Run ls. It writes to a file.");
  });
});

describe("text that is being written", () => {
  const writes = play(liveView(message(1, "user", text("hi"))), events.part(text("half a sen")));

  it("says so when nothing has come for a while, and not before", () => {
    show(writes, { newsAt: Date.now() - 4_000 });
    expect(screen.queryByText(/nothing new for/)).toBeNull();
    cleanup();
    show(writes, { newsAt: Date.now() - 12_000 });
    expect(screen.getByText(/nothing new for 1[23] s/)).toBeTruthy();
  });

  it("is not what a tool does: that may be silent", () => {
    const runs = play(writes, events.message(message(2, "assistant", call("a"))));
    show(runs, { newsAt: Date.now() - 12_000 });
    expect(screen.queryByText(/nothing new for/)).toBeNull();
  });
});

describe("the end of a conversation", () => {
  it("says that the reader stopped it, and nothing when it ended by itself", () => {
    const done = play(liveView(message(1, "user", text("hi"))), events.status("waiting"));
    show(done);
    expect(screen.queryByText(/You stopped/)).toBeNull();
    show(done, { end: "cut" });
    expect(screen.getByText(/You stopped the agent here/)).toBeTruthy();
    cleanup();
    show(done, { end: "unanswered" });
    expect(screen.getByText("You stopped the agent before it answered.")).toBeTruthy();
  });

  it("names what is being done", () => {
    const view = play(liveView(message(1, "user", text("hi"))), events.part({ type: "tool-call", tool_call_id: "a", tool_name: "execute", args: { command: "cargo test" } }));
    expect(doing(view, timeline(view))).toBe("Running cargo test");
    expect(doing(play(view, events.status("pending")), [])).toBe("Starting");
  });
});

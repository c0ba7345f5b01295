import { describe, expect, it } from "vitest";
import { call, events, liveView, message, NOW, play, result, text } from "@/testing/fixtures.ts";
import { parseEvent } from "./events.ts";
import { begun, connected, initialView, MAX_UNKNOWN, reduce, snapshotOver, withMessages } from "./reduce.ts";

const fresh = () => connected(initialView(null), false);
const ids = (view: { messages: readonly { id: number }[] }) => view.messages.map((m) => m.id);

describe("a snapshot", () => {
  it("shows status, history and queue", () => {
    const view = play(fresh(), events.status("waiting"), events.message(message(1, "user", text("hi"))), events.message(message(2, "assistant", text("hello"))), events.queue(7));
    expect(view.status).toBe("waiting");
    expect(ids(view)).toEqual([1, 2]);
    expect(view.queue.map((q) => q.id)).toEqual([7]);
    expect(view.snapshot).toBeNull();
  });

  it("keeps the parts of the running step although history follows them", () => {
    const view = play(
      fresh(),
      events.status("running"),
      events.part(text("half an ans")),
      events.message(message(1, "user", text("hi"))),
      events.message(message(2, "assistant", text("an older answer"))),
      events.queue(),
    );
    expect(view.live).toEqual([{ type: "live-text", text: "half an ans" }]);
    expect(ids(view)).toEqual([1, 2]);
  });

  it("drops the parts of a step that has just become durable, recognised by its calls", () => {
    const view = play(fresh(), events.status("running"), events.part(text("Let me look.")), events.part(call("a")), events.message(message(3, "assistant", text("Let me look."), call("a"))));
    expect(view.live).toEqual([]);
  });

  it("is over when a part follows its messages, so that the next message replaces the parts", () => {
    const view = play(
      fresh(),
      events.status("running"),
      events.message(message(1, "user", text("hi"))),
      events.part(text("new")),
      events.message(message(2, "assistant", text("new answer, longer than what was streamed"))),
    );
    expect(view.live).toEqual([]);
  });

  it("is over when time says so", () => {
    const open = play(fresh(), events.status("running"), events.part(text("streamed")));
    const view = play(snapshotOver(open), events.message(message(2, "assistant", text("streamed and more"))));
    expect(view.live).toEqual([]);
  });

  it("leaves no repeated text behind when the turn settles during it", () => {
    const view = play(fresh(), events.status("running"), events.part(text("done")), events.message(message(2, "assistant", text("done"))), events.status("waiting"));
    expect(view.live).toEqual([]);
  });
});

describe("a message that was taken from this page", () => {
  const asked = message(1, "user", text("hi"));

  it("begins a turn before the stream says so", () => {
    const rests = play(liveView(asked), events.status("waiting"));
    expect(begun(rests).status).toBe("pending");
    expect(play(begun(rests), events.status("running"), events.status("waiting")).status).toBe("waiting");
  });

  it("takes the failure of the turn before with it", () => {
    const failed = play(liveView(asked), parseEvent({ type: "error", error: { message: "no" } }), events.status("error"));
    expect(failed.error).not.toBeNull();
    expect(begun(failed)).toMatchObject({ status: "pending", error: null });
  });

  it("changes nothing while a turn is under way", () => {
    const view = liveView(asked);
    expect(begun(view)).toBe(view);
  });
});

describe("live parts", () => {
  it("of text grow into one", () => {
    expect(play(liveView(), events.part(text("a")), events.part(text("b"))).live).toEqual([{ type: "live-text", text: "ab" }]);
  });

  it("of reasoning and text stay apart, in order", () => {
    const view = play(liveView(), events.part({ type: "reasoning", text: "hm" }), events.part(text("a")), events.part({ type: "reasoning", text: "again" }));
    expect(view.live.map((p) => p.type)).toEqual(["live-reasoning", "live-text", "live-reasoning"]);
  });

  it("of a tool's arguments are joined until the whole call arrives", () => {
    const delta = (args_delta: string) => events.part({ type: "tool-call", tool_call_id: "a", tool_name: "execute", args_delta });
    const growing = play(liveView(), delta('{"comm'), delta('and":"ls"}'));
    expect(growing.live[0]).toMatchObject({ type: "live-tool-call", argsText: '{"command":"ls"}', complete: false, startedAt: NOW });
    expect(play(growing, events.part(call("a"))).live).toHaveLength(1);
    expect(play(growing, events.part(call("a"))).live[0]).toMatchObject({ complete: true, args: { command: "ls" } });
  });

  it("of two tools at once do not mix", () => {
    const delta = (id: string, args_delta: string) => events.part({ type: "tool-call", tool_call_id: id, tool_name: "execute", args_delta });
    const view = play(liveView(), delta("a", "1"), delta("b", "2"), delta("a", "3"));
    expect(view.live.map((p) => p.type === "live-tool-call" && p.argsText)).toEqual(["13", "2"]);
  });

  it("of a tool's output grow, are withdrawn by a reset, and end with the result", () => {
    const out = (part: object) => events.part({ type: "tool-result", tool_call_id: "a", tool_name: "execute", ...part }, "tool");
    const running = play(liveView(), out({ result_delta: "one " }), out({ result_delta: "two" }));
    expect(running.live[0]).toMatchObject({ output: "one two", result: null });
    expect(play(running, out({ result_reset: true, result_delta: "three" })).live[0]).toMatchObject({ output: "three" });
    expect(play(running, out({ result: { exit_code: 0 } })).live[0]).toMatchObject({ output: "one two", result: { value: { exit_code: 0 }, isError: false } });
  });

  it("of kinds this version does not know are kept", () => {
    expect(play(liveView(), events.part({ type: "hologram", shape: 3 })).live[0]).toMatchObject({ type: "live-other", part: { type: "unknown", kind: "hologram" } });
  });

  it("are replaced by the durable message of their step", () => {
    const view = play(liveView(), events.part({ type: "reasoning", text: "hm" }), events.part(text("ans")), events.message(message(5, "assistant", text("answer"))));
    expect(view.live).toEqual([]);
    expect(ids(view)).toEqual([5]);
  });

  it("are not touched by a user's message", () => {
    expect(play(liveView(), events.part(text("ans")), events.message(message(5, "user", text("and?")))).live).toHaveLength(1);
  });

  it("of a tool's output outlive the message with its call, and end with its own result", () => {
    const out = (id: string) => events.part({ type: "tool-result", tool_call_id: id, tool_name: "execute", result_delta: id }, "tool");
    const running = play(liveView(), events.part(call("a")), events.part(call("b")), out("a"), events.message(message(5, "assistant", call("a"), call("b"))), out("b"));
    expect(running.live.map((p) => p.type === "live-tool-result" && p.output)).toEqual(["a", "b"]);
    const one = play(running, events.message(message(6, "tool", result("a"))));
    expect(one.live.map((p) => p.type === "live-tool-result" && p.callId)).toEqual(["b"]);
  });

  it("are withdrawn by a preview reset, durable messages are not", () => {
    const view = play(liveView(message(1, "user", text("hi"))), events.part(text("wrong")), parseEvent({ type: "preview_reset", preview_reset: {} }), events.part(text("right")));
    expect(view.live).toEqual([{ type: "live-text", text: "right" }]);
    expect(ids(view)).toEqual([1]);
  });
});

describe("durable messages", () => {
  it("are kept once, in order of their ids, however they arrive", () => {
    const view = play(liveView(), events.message(message(3, "assistant", text("c"))), events.message(message(1, "user", text("a"))), events.message(message(3, "assistant", text("c"))));
    expect(ids(view)).toEqual([1, 3]);
  });

  it("keep their object when they are sent again, so that nothing renders twice", () => {
    const view = liveView(message(1, "user", text("a")), message(2, "assistant", text("b")));
    expect(play(view, events.message(message(1, "user", text("a")))).messages).toBe(view.messages);
  });

  it("from an older page join before the others", () => {
    expect(ids(withMessages(liveView(message(9, "user", text("z"))), [message(4, "assistant"), message(3, "user"), message(9, "user")]))).toEqual([3, 4, 9]);
  });

  it("behind a history reset are withdrawn, with the live parts", () => {
    const view = liveView(message(1, "user", text("a")), message(2, "assistant", text("b")), message(3, "user", text("c")));
    const after = play(view, events.part(text("x")), parseEvent({ type: "history_reset", history_reset: { from_message_id: 2 } }), events.message(message(8, "user", text("edited"))));
    expect(ids(after)).toEqual([1, 8]);
    expect(after.live).toEqual([]);
  });
});

describe("a connection that comes back", () => {
  it("with its cursor continues the text without doubling it", () => {
    const before = play(liveView(), { ...events.part(text("one ")), cursor: "v3.1" });
    expect(before.cursor).toBe("v3.1");
    const after = play(connected(before, true), { ...events.part(text("two")), cursor: "v3.2" });
    expect(after.live).toEqual([{ type: "live-text", text: "one two" }]);
    expect(after.cursor).toBe("v3.2");
  });

  it("without a cursor starts the running step over from the snapshot", () => {
    const before = play(liveView(message(1, "user", text("hi"))), events.part(text("one ")));
    const after = play(connected(before, false), events.status("running"), events.part(text("one two")), events.queue());
    expect(after.live).toEqual([{ type: "live-text", text: "one two" }]);
    expect(ids(after)).toEqual([1]);
  });
});

describe("status, errors and retries", () => {
  const failure = parseEvent({ type: "error", error: { message: "no", kind: "auth", retryable: false } });
  const retry = parseEvent({ type: "retry", retry: { attempt: 1, delay_ms: 1000, error: "busy", retrying_at: NOW } });

  it("an error stays until another status comes", () => {
    const failed = play(liveView(), failure, events.status("error"));
    expect(failed.error?.message).toBe("no");
    expect(play(failed, events.status("pending")).error).toBeNull();
  });

  it("a retry is shown until parts come again or the turn ends", () => {
    const waiting = play(liveView(), retry);
    expect(waiting.retry?.attempt).toBe(1);
    expect(play(waiting, events.part(text("a"))).retry).toBeNull();
    expect(play(waiting, events.status("waiting")).retry).toBeNull();
  });

  it("the queue is always the one sent last; a missing key means empty", () => {
    expect(play(liveView(), events.queue(1, 2), events.queue()).queue).toEqual([]);
  });

  it("pending calls end with their status", () => {
    const asked = play(liveView(), events.status("requires_action"), parseEvent({ type: "action_required", action_required: { tool_calls: [{ tool_call_id: "a", tool_name: "t", args: "{}" }] } }));
    expect(asked.pendingCalls).toHaveLength(1);
    expect(play(asked, events.status("pending")).pendingCalls).toEqual([]);
  });

  it("calls that wait for a person say why, survive a reload, and are replaced by what waits next", () => {
    const wait = (id: string, digest: string) => parseEvent({ type: "action_required", action_required: { tool_calls: [{ tool_call_id: id, tool_name: "execute", args: "{}", approval: { digest, risk: "unknown", reason: "It runs a command" } }] } });
    const asked = play(liveView(), events.status("requires_action"), wait("a", "11"));
    expect(asked.pendingCalls[0]?.approval).toEqual({ digest: "11", risk: "unknown", reason: "It runs a command" });
    const again = play(connected(asked, false), events.status("requires_action"), wait("a", "11"), events.queue());
    expect(again.pendingCalls).toEqual(asked.pendingCalls);
    expect(play(asked, wait("a", "22")).pendingCalls.map((pending) => pending.approval?.digest)).toEqual(["22"]);
    expect(play(asked, events.status("pending"), events.status("running"), events.status("requires_action")).pendingCalls).toEqual([]);
  });

  it("unknown kinds are remembered, but not without end", () => {
    const strange = parseEvent({ type: "telepathy", telepathy: 1 });
    const view = Array.from({ length: MAX_UNKNOWN + 5 }).reduce((v: ReturnType<typeof liveView>) => reduce(v, strange, NOW), liveView(message(4, "user", text("hi"))));
    expect(view.unknown).toHaveLength(MAX_UNKNOWN);
    expect(view.unknown[0]).toMatchObject({ kind: "telepathy", afterMessageId: 4 });
  });

  it("a heartbeat changes nothing", () => {
    const view = liveView();
    expect(reduce(view, parseEvent({ type: "heartbeat", server_time: NOW }), NOW)).toBe(view);
  });
});

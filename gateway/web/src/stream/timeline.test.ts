import { describe, expect, it } from "vitest";
import { call, events, liveView, message, play, result, text } from "@/testing/fixtures.ts";
import { timeline, type Row } from "./timeline.ts";
import { parseEvent } from "./events.ts";

const tool = (rows: readonly Row[], id = "a") => {
  const row = rows.find((r) => r.kind === "tool" && r.callId === id);
  if (row?.kind !== "tool") throw new Error("no such tool row");
  return row;
};
const out = (delta: string) => events.part({ type: "tool-result", tool_call_id: "a", tool_name: "execute", result_delta: delta }, "tool");

describe("a call that waits for a person", () => {
  const pending = (id: string, approval?: object) => ({ tool_call_id: id, tool_name: "execute", args: '{"command":"rm"}', ...(approval && { approval }) });
  const asks = (...calls: object[]) => [events.status("requires_action"), parseEvent({ type: "action_required", action_required: { tool_calls: calls } })];
  const approval = { digest: "11", risk: "unknown", reason: "It runs a command" };
  const called = liveView(message(1, "assistant", call("a"), call("b")), message(2, "tool", result("b")));

  it("says so in its row until it is decided; the others are as they were", () => {
    const view = play(called, ...asks(pending("a", approval)));
    expect(tool(timeline(view))).toMatchObject({ state: "awaiting", approval, args: { command: "ls" } });
    expect(tool(timeline(view), "b")).toMatchObject({ state: "done", approval: null });
    expect(tool(timeline(play(view, events.status("pending"))))).toMatchObject({ state: "running", approval: null });
    expect(tool(timeline(play(view, events.status("waiting"))))).toMatchObject({ state: "stopped", approval: null });
  });

  it("is not what a program has to answer", () => {
    expect(tool(timeline(play(called, ...asks(pending("a"))))).state).toBe("running");
  });

  it("has a row even if nobody has told the call itself", () => {
    expect(tool(timeline(play(called, ...asks(pending("z", approval)))), "z")).toMatchObject({ state: "awaiting", args: { command: "rm" } });
  });
});

describe("a tool's row", () => {
  it("joins call and result of different messages", () => {
    const rows = timeline(liveView(message(1, "assistant", call("a")), message(2, "tool", result("a"))));
    expect(rows).toHaveLength(1);
    expect(tool(rows)).toMatchObject({ state: "done", args: { command: "ls" }, result: { exit_code: 0 } });
  });

  it("keeps its key from the first argument to the durable result", () => {
    const stages = [
      play(liveView(), events.part({ type: "tool-call", tool_call_id: "a", tool_name: "execute", args_delta: "{" })),
      play(liveView(), events.part(call("a")), out("x")),
      play(liveView(), events.message(message(1, "assistant", call("a"))), out("x")),
      liveView(message(1, "assistant", call("a")), message(2, "tool", result("a"))),
    ];
    expect(stages.map((view) => tool(timeline(view)).state)).toEqual(["writing", "running", "running", "done"]);
    expect(new Set(stages.map((view) => tool(timeline(view)).key)).size).toBe(1);
  });

  it("shows live output of a call that is already durable", () => {
    expect(tool(timeline(play(liveView(message(1, "assistant", call("a"))), out("line"))))).toMatchObject({ state: "running", output: "line" });
  });

  it("is done as soon as its live result is final", () => {
    const view = play(liveView(message(1, "assistant", call("a"))), out("x"), events.part(result("a"), "tool"));
    expect(tool(timeline(view)).state).toBe("done");
  });

  it("is stopped when the turn ended without its result", () => {
    expect(tool(timeline(play(liveView(message(1, "assistant", call("a"))), events.status("waiting")))).state).toBe("stopped");
  });

  it("is failed when the result says so", () => {
    const rows = timeline(liveView(message(1, "assistant", call("a")), message(2, "tool", { type: "tool-result", tool_call_id: "a", tool_name: "execute", result: { error: "no" }, is_error: true })));
    expect(tool(rows).state).toBe("failed");
  });
});

describe("the rows", () => {
  it("give streamed text the key its durable message will have, so that it is not drawn anew", () => {
    const asked = message(1, "user", text("hi"));
    const live = timeline(play(liveView(asked), events.part(text("hel"))));
    const durable = timeline(liveView(asked, message(2, "assistant", text("hello"))));
    expect(live.at(-1)?.key).toBe(durable.at(-1)?.key);
  });

  it("build history once per list of messages", () => {
    const view = liveView(message(1, "user", text("hi")), message(2, "assistant", text("hello")));
    expect(timeline(play(view, events.part(text("x"))))[1]).toBe(timeline(view)[1]);
  });

  it("leave out empty text and empty reasoning", () => {
    expect(timeline(liveView(message(1, "assistant", text(""), { type: "reasoning", text: " " })))).toEqual([]);
  });

  it("show what they do not understand, as a note", () => {
    const view = play(liveView(message(1, "assistant", { type: "unknown", kind: "hologram", raw: { a: 1 } })), parseEvent({ type: "telepathy" }));
    expect(timeline(view).map((row) => row.kind === "note" && row.label)).toEqual(["Part “hologram”", "Event “telepathy”"]);
  });

  it("gather files and sources that stand together", () => {
    const source = (url: string) => ({ type: "source" as const, url });
    const rows = timeline(liveView(message(1, "assistant", source("https://a.example"), source("https://b.example"))));
    expect(rows).toHaveLength(1);
  });
});

describe("an answer of another model", () => {
  const asked = (id: number, model: string) => ({ ...message(id, "user", text("hi")), model_config_id: model });
  const answer = (id: number, model: string | undefined, part = text("hello")) => ({ ...message(id, "assistant", part), ...(model && { model_config_id: model }) });
  const standIns = (...messages: ReturnType<typeof message>[]) => timeline(liveView(...messages)).flatMap((row) => (row.kind === "stand-in" ? [[row.key, row.asked, row.answered]] : []));

  it("is told once in a turn, behind what it answered first", () => {
    const messages = [asked(1, "a"), answer(2, "b", call("x")), message(3, "tool", result("x")), answer(4, "b"), asked(5, "a"), answer(6, "b")];
    expect(standIns(...messages)).toEqual([
      ["stand-in-2", "a", "b"],
      ["stand-in-6", "a", "b"],
    ]);
    expect(timeline(liveView(...messages)).map((row) => row.kind)).toEqual(["user", "tool", "stand-in", "text", "user", "text", "stand-in"]);
  });

  it("is not told where nobody stood in, where nobody says who answered, and not of summaries", () => {
    expect(standIns(asked(1, "a"), answer(2, "a"), asked(3, "a"), answer(4, undefined))).toEqual([]);
    expect(standIns(message(1, "user", text("hi")), answer(2, "b"))).toEqual([]);
    expect(standIns(asked(1, "a"), answer(2, "b", call("s", {}, "chat_summarized")))).toEqual([]);
  });
});

describe("what the workspace tells the model", () => {
  const told = (id: number, path: string) => message(id, "user", { type: "context-file", context_file_path: path });

  it("is one quiet line, also between a call and its result, and no message of a person", () => {
    const rows = timeline(liveView(message(1, "user", text("go")), message(2, "assistant", call("a")), told(3, "/w/AGENTS.md"), message(4, "tool", result("a"))));
    expect(rows.map((row) => (row.kind === "note" ? row.label : row.kind))).toEqual(["user", "tool", "Read AGENTS.md from the workspace"]);
    expect(rows[1]).toMatchObject({ kind: "tool", state: "done" });
  });

  it("is nothing at all when nothing is left", () => {
    expect(timeline(liveView(message(1, "user", text("go")), told(2, ""))).map(({ kind }) => kind)).toEqual(["user"]);
  });
});

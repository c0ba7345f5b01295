import { describe, expect, it } from "vitest";
import type { ChatMessage } from "@/api/types.ts";
import { call, chat, events, liveView, message, NOW, play, result, text } from "@/testing/fixtures.ts";
import { COMPACTION_TOOL } from "../compacted.ts";
import { rowTellsCut, turnEnd } from "./stopped.ts";

const rests = (...messages: ChatMessage[]) => turnEnd(play(liveView(...messages), events.status("waiting")));
const asked = (id: number) => message(id, "user", text("do it"));
const answer = (id: number, usage?: ChatMessage["usage"], model = "m"): ChatMessage => ({ ...message(id, "assistant", text("so be it")), model_config_id: model, ...(usage && { usage }) });
const COST = { output_tokens: 7 };

describe("a turn at whose end there is", () => {
  it.each<[string, string, ChatMessage[]]>([
    ["a whole answer: finished", "finished", [asked(1), answer(2, COST)]],
    ["nothing: stopped before the answer", "unanswered", [asked(1)]],
    ["a result nobody went on with: stopped", "cut", [asked(1), message(2, "assistant", call("a")), message(3, "tool", result("a"))]],
    ["a call without a result: stopped", "cut", [asked(1), message(2, "assistant", call("a"))]],
    ["a piece of an answer of a model that gives accounts: stopped", "cut", [asked(1), answer(2, COST), asked(3), answer(4)]],
    ["an answer of a model that has given none: nobody can tell", "unknown", [asked(1), answer(2)]],
    ["an answer of another model than the one that gives accounts: nobody can tell", "unknown", [asked(1), answer(2, COST), asked(3), answer(4, undefined, "other")]],
    ["a summary of the conversation: finished", "finished", [asked(1), answer(2, COST), message(3, "assistant", call("s", {}, COMPACTION_TOOL)), message(4, "tool", result("s", {}, COMPACTION_TOOL))]],
    ["a plan that waits for the reader: finished", "finished", [asked(1), message(2, "assistant", call("p", {}, "propose_plan")), message(3, "tool", result("p", { ok: true }, "propose_plan"))]],
    ["a question beside another result: finished", "finished", [asked(1), message(2, "assistant", call("q", {}, "ask_user_question"), call("a")), message(3, "tool", result("q", {}, "ask_user_question")), message(4, "tool", result("a"))]],
    ["a plan that failed: stopped", "cut", [asked(1), message(2, "assistant", call("p", {}, "propose_plan")), message(3, "tool", { ...result("p", { error: "empty" }, "propose_plan"), is_error: true } as never)]],
    ["a plan, and an answer cut off behind it: stopped", "cut", [asked(1), message(2, "assistant", call("p", {}, "propose_plan")), message(3, "tool", result("p", {}, "propose_plan")), asked(4), message(5, "assistant", call("a"))]],
    ["what the workspace tells, behind a whole answer: finished", "finished", [asked(1), answer(2, COST), message(3, "user", { type: "context-file", context_file_path: "/w/AGENTS.md" })]],
    ["what the workspace tells, behind the question: stopped before the answer", "unanswered", [asked(1), message(2, "user", { type: "skill", skill_name: "release" })]],
    ["no message at all: finished", "finished", []],
  ])("%s", (_, end, messages) => {
    expect(rests(...messages)).toBe(end);
  });

  it("nothing yet because it runs, or because it failed, is not stopped", () => {
    expect(turnEnd(liveView(asked(1)))).toBe("finished");
    expect(turnEnd(play(liveView(asked(1)), events.status("error")))).toBe("finished");
  });
});

describe("a chat's row", () => {
  const view = play(liveView(asked(1), answer(2)), events.status("waiting"));
  const row = (change: Parameters<typeof chat>[0]) => rowTellsCut(chat({ updated_at: NOW, ...change }), view);

  it("tells that the turn was stopped by having no summary", () => {
    expect(row({ last_turn_summary: null })).toBe(true);
    expect(row({ last_turn_summary: "Finished" })).toBe(false);
  });

  it("tells nothing while it is older than the last message, or not at rest, and never of a sub-chat", () => {
    expect(row({ updated_at: "2026-11-21T09:59:59.000Z" })).toBe(false);
    expect(row({ status: "running" })).toBe(false);
    expect(row({ parent_chat_id: "p" })).toBe(false);
    expect(rowTellsCut(undefined, view)).toBe(false);
  });
});

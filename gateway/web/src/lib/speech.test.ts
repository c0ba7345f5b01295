import { expect, it } from "vitest";
import type { MessagePart } from "@/api/types.ts";
import { message, text } from "@/testing/fixtures.ts";
import { contextText, isAsked, isContext } from "./speech.ts";

const file = (context_file_path: string): MessagePart => ({ type: "context-file", context_file_path });
const skill = (skill_name: string): MessagePart => ({ type: "skill", skill_name });

it("what a workspace tells is nobody's speech", () => {
  const told = message(1, "user", file("/w/AGENTS.md"), skill("release"));
  expect([isContext(told), isAsked(told)]).toEqual([true, false]);
  const said = message(2, "user", text("look"), file("/w/AGENTS.md"));
  expect([isContext(said), isAsked(said)]).toEqual([false, true]);
  expect(isContext(message(3, "user"))).toBe(false);
  expect(isContext(message(4, "assistant", skill("x")))).toBe(false);
});

it.each<[string, MessagePart[]]>([
  ["Read AGENTS.md from the workspace", [file("/w/AGENTS.md")]],
  ["Read AGENTS.md and 1 skill from the workspace", [file("/w/AGENTS.md"), skill("a")]],
  ["Read 2 files with instructions and 2 skills from the workspace", [file("/a"), file("/b"), skill("a"), skill("b")]],
  ["Read 1 skill from the workspace", [file(""), skill("a")]],
  ["", [file("")]],
])("%s", (expected, parts) => expect(contextText(message(1, "user", ...parts))).toBe(expected));

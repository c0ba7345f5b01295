import { describe, expect, it } from "vitest";
import type { Workspace, WorkspaceBuild } from "@/api/workspaces.ts";
import { buildText, choicesOf, choicesText, environmentOf, environmentText, hoursText, stateOf, ttlOf } from "./workspace.ts";

const workspace = (change: Partial<Workspace>) => ({ status: "running", backend: "local", agent: { status: "connected" }, ...change }) as Workspace;

describe("how a workspace stands", () => {
  it.each<[string, Partial<Workspace>]>([
    ["Running", {}],
    ["Running", { agent: { status: "resting" } }],
    ["Not to be reached", { agent: { status: "disconnected" } }],
    ["Its host is offline", { backend: "external", agent: { status: "disconnected" } }],
    ["Waits for its host", { backend: "external", agent: { status: "connecting" } }],
    ["Stopped", { status: "stopped", agent: { status: "none" } }],
  ])("%s", (text, change) => expect(stateOf(workspace(change)).text).toBe(text));
});

it("a build says who wanted it and how it ended", () => {
  const build = { transition: "start", status: "succeeded", reason: "chat", startup: "failed" } as WorkspaceBuild;
  expect(buildText(build)).toBe("Start by a chat: succeeded, the startup script failed");
  expect(buildText({ ...build, transition: "stop", reason: "user", startup: "succeeded" })).toBe("Stop: succeeded");
});

it("hours are milliseconds for the server", () => {
  expect([ttlOf(""), ttlOf(" 1.5 "), ttlOf("0"), ttlOf("-1"), ttlOf("721"), ttlOf("soon")]).toEqual([0, 5_400_000, 0, null, null, null]);
  expect([hoursText(0), hoursText(5_400_000), hoursText(60_000)]).toEqual(["", "1.5", "0.02"]);
});

it("an environment is read from its lines, and the line that is none is named", () => {
  const environment = environmentOf("A=1\n\nB_2=x=y ");
  expect(environment).toEqual({ A: "1", B_2: "x=y " });
  expect(environmentText(environment as Record<string, string>)).toBe("A=1\nB_2=x=y ");
  for (const odd of ["A", "=1", "1A=2", "A B=c"]) expect(environmentOf(odd)).toContain("is not NAME=value");
});

it("parameters and presets are read from JSON", () => {
  const text = choicesText({ parameters: [{ name: "size" } as never], presets: [] });
  expect(choicesOf(text)).toEqual({ parameters: [{ name: "size" }], presets: [] });
  expect(choicesOf("")).toEqual({ parameters: [], presets: [] });
  for (const odd of ["{", "[]", "3", '{"other":1}', '{"parameters":3}']) expect(typeof choicesOf(odd)).toBe("string");
});

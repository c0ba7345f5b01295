import { describe, expect, it } from "vitest";
import { commandNamed, commandsFor } from "./commands.ts";

const names = (text: string) => commandsFor(text).map((command) => command.name);

describe("what is typed after a slash", () => {
  it.each<[string, string[]]>([
    ["/", ["compact", "clear"]],
    ["/c", ["compact", "clear"]],
    ["/cl", ["clear"]],
    ["/COMPACT ", ["compact"]],
    ["/etc/hosts is wrong", []],
    ["/clear the cache", []],
    [" /clear", []],
    ["", []],
    ["see /clear", []],
  ])("%j offers %j", (text, expected) => expect(names(text)).toEqual(expected));

  it("is a command only when it is nothing else", () => {
    expect(["/Clear ", "/cle", "/clear it"].map((text) => commandNamed(text)?.name)).toEqual(["clear", undefined, undefined]);
  });
});

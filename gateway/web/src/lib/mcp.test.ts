import { describe, expect, it } from "vitest";
import type { McpHealth } from "@/api/mcp.ts";
import { mcpServer, NOW } from "@/testing/fixtures.ts";
import { authTypesFor, healthWords, iconOf, isSlug, slugOf, toolTitle } from "./mcp.ts";
import { defaultChoice, MAX_CHOSEN, toggled, unconnected, usedServers, usedText } from "./mcpChoice.ts";

const at = Date.parse(NOW) + 120_000;
const health = (change: Partial<McpHealth>): McpHealth => ({ outcome: "connected", duration_ms: 84, tool_count: 1, checked_at: NOW, ...change });

describe("how a server does", () => {
  it.each<[string, Partial<McpHealth>]>([
    ["healthy: Works · 1 tool · answered in 84 ms · 2m", {}],
    ["degraded: Works in part: 128 tools, and tools were left out · 2m", { tool_count: 128, error: "tools were left out" }],
    ["degraded: Answers, but offers no tool that chats may use · 2m", { outcome: "no_tools", tool_count: 0 }],
    ["failing: Does not answer: no answer within 10 s · 2m", { outcome: "timeout", error: "no answer within 10 s" }],
    ["failing: Fails: 401 · 2m", { outcome: "error", error: "401" }],
  ])("reads %j", (expected, change) => {
    const words = healthWords(health(change), at);
    expect(`${words?.level ?? ""}: ${words?.word ?? ""}${words?.text ?? ""}`).toBe(expected);
  });

  it("is not told before anybody has asked it", () => expect(healthWords(undefined, at)).toBeNull());
});

describe("names", () => {
  it.each([
    ["create_issue", "Create issue"],
    ["createIssue", "Create issue"],
    ["get-HTTP.page", "Get HTTP page"],
    ["__", "Tool"],
  ])("of tools: %s reads %s", (name, title) => expect(toolTitle(name)).toBe(title));

  it.each([
    ["Issue Tracker (Lab)", "issue-tracker-lab"],
    ["Bücher & Co", "bucher-co"],
    ["日本", ""],
    [`${"a".repeat(39)} b`, "a".repeat(39)],
  ])("of servers: %s becomes %s", (name, slug) => {
    expect(slugOf(name)).toBe(slug);
    expect(slug === "" || isSlug(slugOf(name))).toBe(true);
  });

  it.each(["a__b", "A", "-a", "a_", "a".repeat(41), ""])("that are no short names: %j", (text) => expect(isSlug(text)).toBe(false));
});

describe("what is shown of a server", () => {
  it.each([
    ["/icons/a.svg", "/icons/a.svg"],
    ["https://elsewhere.example.com/a.png", null],
    ["//elsewhere.example.com/a.png", null],
    ["/\\elsewhere.example.com", null],
    ["", null],
  ])("is a picture only if it is ours: %s", (icon_url, shown) => expect(iconOf({ icon_url })).toBe(shown));

  it("is a kind of authentication that does nothing only where it is set already", () => {
    expect(authTypesFor(undefined)).not.toContain("user_oidc");
    expect(authTypesFor("user_oidc")).toContain("user_oidc");
    expect(authTypesFor("none")).toEqual(authTypesFor(undefined));
  });
});

describe("the servers of a chat", () => {
  const servers = [
    mcpServer("forced", { availability: "force_on" }),
    mcpServer("usual", { availability: "default_on", auth_type: "oauth2", auth_connected: false }),
    mcpServer("rare"),
    mcpServer("off", { availability: "default_on", enabled: false }),
  ];
  const names = (list: ReturnType<typeof usedServers>) => list.map(({ id }) => id).join();

  it("begin with those that are on unless left out", () => expect(defaultChoice(servers)).toEqual(["usual"]));

  it("are those that were chosen and those that every chat uses, unless they are off", () => {
    expect(names(usedServers(servers, ["rare", "off", "gone"]))).toBe("forced,rare");
    expect(usedText(usedServers(servers, ["rare"]))).toBe("2 servers");
    expect(usedText(usedServers(servers, []))).toBe("FORCED");
  });

  it("want an account only if the chat uses them", () => {
    expect(names(unconnected(servers, ["usual"]))).toBe("usual");
    expect(names(unconnected(servers, []))).toBe("");
  });

  it("keep what is not known here when another is switched", () => {
    expect(toggled(["gone", "rare"], "rare")).toEqual(["gone"]);
    expect(toggled(["gone"], "rare")).toEqual(["gone", "rare"]);
  });

  it("are no more than a chat may have", () => {
    const many = Array.from({ length: MAX_CHOSEN + 3 }, (_, n) => mcpServer(`s${String(n)}`, { availability: "default_on" }));
    expect(defaultChoice(many).length).toBe(MAX_CHOSEN);
  });
});

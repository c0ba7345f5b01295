import { describe, expect, it } from "vitest";
import type { McpServer } from "@/api/mcp.ts";
import { mcpServer } from "@/testing/fixtures.ts";
import { fieldsOf, isAllowed, missingIn, newServerOf, patchOf, problemsOf, type ServerFields, withTool } from "./mcpDraft.ts";

const keyed = mcpServer("a", { auth_type: "api_key", api_key_header: "Authorization", has_api_key: true });
const headed = mcpServer("a", { auth_type: "custom_headers", has_custom_headers: true });
const client = mcpServer("a", { auth_type: "oauth2", oauth2_client_id: "c", oauth2_auth_url: "https://x.example.com/a", oauth2_token_url: "https://x.example.com/t", has_oauth2_secret: true });
const typed = (server: McpServer | undefined, change: Partial<ServerFields>): ServerFields => ({ ...fieldsOf(server), ...change });
const patch = (server: McpServer, change: Partial<ServerFields>) => patchOf(typed(server, change), server);
const problems = (server: McpServer | undefined, change: Partial<ServerFields>) => Object.keys(problemsOf(typed(server, change), server));
const header = (name: string, value = "v", key = 1) => ({ key, name, value });

describe("what is sent of a server's settings", () => {
  it.each([mcpServer("a"), keyed, headed, client, mcpServer("a", { tool_allow_list: ["x"], tool_deny_list: ["y"] })])("is nothing when nothing was changed (%#)", (server) => {
    const onlyOneList = server.tool_allow_list.length > 0 ? { tool_deny_list: [] } : {};
    expect(patchOf(fieldsOf(server), { ...server, ...onlyOneList })).toEqual({});
  });

  it("is what was changed and no secret that was not typed", () => {
    expect(patch(keyed, { display_name: " B ", availability: "force_on" })).toEqual({ display_name: "B", availability: "force_on" });
    expect(patch(keyed, { api_key_value: "Bearer x" })).toEqual({ api_key_value: "Bearer x" });
    expect(patch(client, { oauth2_scopes: "read" })).toEqual({ oauth2_scopes: "read" });
    expect(patch(client, { removesClientSecret: true })).toEqual({ oauth2_client_secret: "" });
    expect(patch(client, { removesClientSecret: true, oauth2_client_secret: "new" })).toEqual({ oauth2_client_secret: "new" });
  });

  it("replaces headers as a whole, and not before there are any", () => {
    expect(patch(headed, { headers: [] })).toEqual({});
    expect(patch(headed, { headers: [header("")] })).toEqual({});
    expect(patch(headed, { headers: [header(" X-A ", "1"), header("", "2", 2)] })).toEqual({ custom_headers: { "X-A": "1" } });
  });

  it("takes back the secrets of the kind that is given up", () => {
    expect(patch(keyed, { auth_type: "none", url: "https://other.example.com" })).toEqual({ auth_type: "none", url: "https://other.example.com", api_key_value: "" });
    expect(patch(headed, { auth_type: "api_key", api_key_value: "k" })).toEqual({ auth_type: "api_key", api_key_header: "Authorization", api_key_value: "k", custom_headers: {} });
    expect(patch(keyed, { auth_type: "custom_headers", headers: [header("X-A")] })).toEqual({ auth_type: "custom_headers", custom_headers: { "X-A": "v" }, api_key_value: "" });
  });

  it("is one of the two lists of tools, or none", () => {
    const server = mcpServer("a", { tool_deny_list: ["x"] });
    expect(patch(server, { rule: "only", allowed: ["y"] })).toEqual({ tool_allow_list: ["y"], tool_deny_list: [] });
    expect(patch(server, { rule: "all" })).toEqual({ tool_deny_list: [] });
  });

  it("is everything for a new one, without settings of other kinds of authentication", () => {
    const fields = typed(undefined, { display_name: "A", slug: "a", url: " https://a.example.com/mcp ", auth_type: "oauth2", api_key_value: "left over" });
    expect(newServerOf(fields)).toMatchObject({ url: "https://a.example.com/mcp", transport: "streamable_http", auth_type: "oauth2", oauth2_client_id: "", enabled: true, tool_allow_list: [], tool_deny_list: [] });
    expect(newServerOf(fields)).not.toHaveProperty("api_key_value");
    expect(newServerOf(fields)).not.toHaveProperty("oauth2_client_secret");
  });
});

describe("what is wrong with settings", () => {
  it.each<[string[], McpServer | undefined, Partial<ServerFields>]>([
    [[], undefined, {}],
    [["url"], undefined, { url: "a.example.com" }],
    [["slug"], undefined, { slug: "A b" }],
    [["icon_url"], undefined, { icon_url: "javascript:alert(1)" }],
    [["rule"], undefined, { rule: "only" }],
    [[], undefined, { rule: "except" }],
    [[], undefined, { auth_type: "oauth2" }],
    [["oauth2_client_id"], undefined, { auth_type: "oauth2", oauth2_client_id: "c" }],
    [["oauth2_client_id"], mcpServer("a"), { auth_type: "oauth2" }],
    [["oauth2_client_secret"], client, { oauth2_token_url: "https://y.example.com/t" }],
    [[], client, { oauth2_token_url: "https://y.example.com/t", oauth2_client_secret: "s" }],
    [[], client, { oauth2_token_url: "https://x.example.com/other" }],
    [["api_key_value"], keyed, { url: "https://b.example.com/mcp" }],
    [[], keyed, { url: "https://b.example.com/mcp", api_key_value: "k" }],
    [[], keyed, { url: "https://a.example.com/other" }],
    [[], keyed, { url: "https://b.example.com/mcp", auth_type: "none" }],
    [["headers"], headed, { url: "http://a.example.com/mcp" }],
  ])("is %j", (expected, server, change) => expect(problems(server, change)).toEqual(expected));

  it.each<[boolean, McpServer | undefined, Partial<ServerFields>]>([
    [true, undefined, { slug: "a", url: "https://a" }],
    [false, undefined, { display_name: "A", slug: "a", url: "https://a" }],
    [true, undefined, { display_name: "A", slug: "a", url: "https://a", auth_type: "api_key" }],
    [false, keyed, {}],
    [true, keyed, { api_key_header: " " }],
    [true, client, { auth_type: "api_key" }],
    [false, headed, {}],
    [true, headed, { headers: [] }],
  ])("says that something is missing: %s", (isMissing, server, change) => expect(missingIn(typed(server, change), server)).toBe(isMissing));
});

describe("switching one tool", () => {
  const after = (change: Partial<ServerFields>, tool: string, isOffered: boolean) => {
    const fields = typed(undefined, change);
    const next = { ...fields, ...withTool(fields, tool, isOffered) };
    expect(isAllowed(next, tool)).toBe(isOffered);
    return [next.rule, next.allowed.join(), next.denied.join()];
  };

  it("leaves it out of all, and goes back to all when none is left out any more", () => {
    expect(after({ rule: "all", denied: ["forgotten"] }, "x", false)).toEqual(["except", "", "x"]);
    expect(after({ rule: "except", denied: ["x"] }, "x", true)).toEqual(["all", "", ""]);
  });

  it("changes the list of those that are offered", () => {
    expect(after({ rule: "only", allowed: ["a"] }, "x", true)).toEqual(["only", "a,x", ""]);
    expect(after({ rule: "only", allowed: ["a"] }, "a", false)).toEqual(["only", "", ""]);
  });
});

import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { ToolRow } from "@/stream/timeline.ts";
import { liveView, mcpServer, message, play, events, toolRow } from "@/testing/fixtures.ts";
import { draw, serve } from "@/testing/server.tsx";
import { timeline } from "@/stream/timeline.ts";
import { OpenedContext } from "../opened.ts";
import { foreignCall, valueIn } from "./foreign.ts";
import { activity } from "./summary.ts";
import { ToolCard } from "./ToolCard.tsx";

const INTENT = "Looking for open issues";
const call = (change: Partial<ToolRow>) => toolRow({ name: "tracker__search_issues", serverId: "t", args: { model_intent: INTENT, properties: { query: "nightly" } }, result: '{"total":2}', ...change });
const show = (row: ToolRow) =>
  draw(
    <OpenedContext value={new Map()}>
      <ToolCard row={row} />
    </OpenedContext>,
  );

describe("a call of a server's tool", () => {
  it.each<[unknown, string, unknown]>([
    [{ model_intent: INTENT, properties: { a: 1 } }, INTENT, { a: 1 }],
    [{ model_intent: INTENT, a: 1 }, INTENT, { a: 1 }],
    [{ properties: { a: 1 } }, "", { properties: { a: 1 } }],
    [{ a: 1 }, "", { a: 1 }],
    ["odd", "", "odd"],
    [null, "", null],
  ])("with %j is made with what the server was sent", (args, intent, sent) => {
    expect(foreignCall(call({ args }))).toMatchObject({ slug: "tracker", title: "Search issues", intent, args: sent });
  });

  it("is known by its server where its name does not tell, and Tandem's own tools are none", () => {
    expect(foreignCall(call({ name: "search" }))).toMatchObject({ slug: "", title: "Search" });
    expect(foreignCall(toolRow({ name: "read_file" }))).toBeNull();
    expect(foreignCall(toolRow({ name: "__odd" }))).toBeNull();
  });

  it("says what for while its arguments still arrive, also in the line about what the agent does", () => {
    const row = call({ args: undefined, argsText: '{"model_intent": "Looking for \\"open', state: "writing", result: undefined });
    expect(foreignCall(row)?.intent).toBe('Looking for "open');
    expect(activity(call({ state: "running", args: { model_intent: "Looking it up.", properties: {} } }))).toBe("Looking it up");
    expect(activity(call({ state: "running", args: { query: "x" } }))).toBe("Search issues (tracker) x");
  });

  it("keeps whose tool it is from its first piece to its result", () => {
    const part = { type: "tool-call", tool_call_id: "1", tool_name: "tracker__search_issues", mcp_server_config_id: "t" };
    const ids = (view: ReturnType<typeof liveView>) => timeline(view).flatMap((row) => (row.kind === "tool" ? [row.serverId] : []));
    const live = play(liveView(), events.part({ ...part, args_delta: "{" }), events.part({ ...part, mcp_server_config_id: null, args_delta: "}" }));
    expect(ids(live)).toEqual(["t"]);
    expect(ids(liveView(message(1, "assistant", { ...part, type: "tool-call", args: {} }), message(2, "tool", { type: "tool-result", tool_call_id: "1", tool_name: "x", result: 1 })))).toEqual(["t"]);
  });

  it.each<[unknown, unknown]>([
    ['{"a":1}', { a: 1 }],
    [" [1]", [1]],
    ["[not json", "[not json"],
    ["12", "12"],
    [{ a: 1 }, { a: 1 }],
  ])("reads a result of %j", (result, value) => expect(valueIn(result)).toEqual(value));
});

describe("the card of a server's tool", () => {
  it("tells the tool, the server by the name people know, and what for", async () => {
    serve({ "GET /mcp/servers": [mcpServer("t", { display_name: "Issue tracker", slug: "renamed", icon_url: "/icons/t.svg" })] });
    const { container } = show(call({}));
    expect(screen.getByText("Search issues")).toBeTruthy();
    expect(screen.getByText(INTENT)).toBeTruthy();
    expect(screen.getByText("tracker")).toBeTruthy();
    await screen.findByText("Issue tracker");
    expect(container.querySelector("img")?.getAttribute("src")).toBe("/icons/t.svg");
  });

  it("opens to arguments and result as trees, without the model's words among them", async () => {
    serve({});
    show(call({ result: '{"issues":[{"title":"Too slow","open":true}]}' }));
    fireEvent.click(screen.getByRole("button", { expanded: false }));
    const sent = await screen.findByRole("region", { name: "Arguments" });
    expect(sent.textContent).toContain("nightly");
    expect(sent.textContent).not.toContain("model_intent");
    expect(screen.getByRole("region", { name: "Result" }).textContent).toContain("Too slow");
  });

  it("survives arguments and results of any shape", async () => {
    serve({});
    for (const odd of [null, 3, "text", [], [null], {}, { model_intent: 3, properties: null }, { data: "x", mime_type: 3 }]) {
      for (const isMedia of [true, false]) {
        const { unmount, container } = show(call({ args: odd, result: odd, isMedia }));
        fireEvent.click(screen.getByRole("button", { expanded: false }));
        await waitFor(() => expect(container.querySelector(".border-t")?.textContent).not.toBe(""));
        unmount();
      }
    }
  });
});

import { act, fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { unreachable } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { chat, mcpServer } from "@/testing/fixtures.ts";
import { draw, serve } from "@/testing/server.tsx";
import { Composer } from "./Composer.tsx";
import type { Outgoing } from "./useComposer.ts";
import { useNewServerChoice, useServerChoice } from "./useServerChoice.ts";

const SERVERS = [
  mcpServer("forced", { availability: "force_on" }),
  mcpServer("tracker", { availability: "default_on", auth_type: "oauth2", auth_connected: false }),
  mcpServer("docs"),
  mcpServer("off", { enabled: false, availability: "force_on" }),
];
const onSend = vi.fn<(message: Outgoing, sent: readonly string[] | undefined) => Promise<void>>();

function Begun({ of }: { of: Chat | undefined }) {
  const servers = useServerChoice(of);
  const send = async (message: Outgoing) => {
    await onSend(message, servers.sent);
    servers.settle();
  };
  return <Composer draftKey="c" organizationId="o" modelId="" onModel={() => undefined} servers={servers} onSend={send} />;
}

function New() {
  const servers = useNewServerChoice();
  return <Composer draftKey="n" organizationId="o" modelId="" onModel={() => undefined} servers={servers} onSend={(message) => onSend(message, servers.sent)} />;
}

const open = async () => fireEvent.click(await screen.findByRole("button", { name: /^MCP/ }));
const box = (name: string) => screen.getByRole<HTMLButtonElement>("menuitemcheckbox", { name: new RegExp(`^${name}`) });
const label = () => screen.getByRole("button", { name: /^MCP/ }).getAttribute("aria-label");
const send = (text: string) => {
  const area = screen.getByLabelText("Message");
  fireEvent.change(area, { target: { value: text } });
  fireEvent.keyDown(area, { key: "Enter" });
};

describe("the MCP servers of a chat", () => {
  it("are shown with those that every chat uses, which nobody can switch off", async () => {
    serve({ "GET /mcp/servers": SERVERS });
    draw(<Begun of={chat({ mcp_server_ids: ["docs"] })} />);
    await open();
    expect(label()).toBe("MCP: 2 servers, FORCED, DOCS");
    expect(box("FORCED").disabled).toBe(true);
    expect(box("FORCED").getAttribute("aria-checked")).toBe("true");
    expect(box("DOCS").getAttribute("aria-checked")).toBe("true");
    expect(screen.queryByRole("menuitemcheckbox", { name: /^OFF/ })).toBeNull();
  });

  it("are switched in a menu that stays open, and sent along only when they were", async () => {
    serve({ "GET /mcp/servers": SERVERS });
    onSend.mockReset().mockResolvedValue(undefined);
    draw(<Begun of={chat({ mcp_server_ids: ["docs", "gone"] })} />);
    await open();
    send("as it is");
    await waitFor(() => expect(onSend.mock.lastCall?.[1]).toBeUndefined());
    fireEvent.click(box("TRACKER"));
    fireEvent.click(box("DOCS"));
    expect(box("DOCS").getAttribute("aria-checked")).toBe("false");
    send("otherwise");
    await waitFor(() => expect(onSend.mock.lastCall?.[1]).toEqual(["gone", "tracker"]));
  });

  it("are sent with nothing when all was switched back", async () => {
    serve({ "GET /mcp/servers": SERVERS });
    onSend.mockReset().mockResolvedValue(undefined);
    draw(<Begun of={chat({ mcp_server_ids: ["docs"] })} />);
    await open();
    fireEvent.click(box("DOCS"));
    fireEvent.click(box("DOCS"));
    send("as it was");
    await waitFor(() => expect(onSend).toHaveBeenCalledOnce());
    expect(onSend.mock.lastCall?.[1]).toBeUndefined();
  });

  it("make another message of the same words when they were changed after a lost attempt", async () => {
    serve({ "GET /mcp/servers": SERVERS });
    onSend.mockReset().mockRejectedValueOnce(unreachable()).mockResolvedValue(undefined);
    draw(<Begun of={chat()} />);
    await open();
    send("precious");
    await screen.findByText(/It may have arrived all the same/);
    fireEvent.click(box("DOCS"));
    send("precious");
    await waitFor(() => expect(onSend).toHaveBeenCalledTimes(2));
    const [first, second] = onSend.mock.calls.map(([message]) => message.key);
    expect(second).not.toBe(first);
  });

  it("begin a new chat with those that are on unless left out", async () => {
    serve({ "GET /mcp/servers": SERVERS });
    onSend.mockReset().mockResolvedValue(undefined);
    draw(<New />);
    await open();
    fireEvent.click(box("DOCS"));
    send("begin");
    await waitFor(() => expect(onSend.mock.lastCall?.[1]).toEqual(["tracker", "docs"]));
  });

  it("are nothing to choose where there are none, also for a server that does not know of them", async () => {
    for (const answers of [{ "GET /mcp/servers": [] }, {}]) {
      serve(answers);
      const { unmount } = draw(<New />);
      await waitFor(() => expect(fetch).toHaveBeenCalledWith(expect.stringContaining("/mcp/servers"), expect.anything()));
      expect(screen.queryByRole("button", { name: /^MCP/ })).toBeNull();
      unmount();
    }
  });
});

describe("an account that a server wants", () => {
  const opened = vi.fn<typeof window.open>();
  const note = () => screen.queryByText("TRACKER needs an account of yours.");

  it("is asked for where the chat uses the server, and connected in a window", async () => {
    serve({ "GET /mcp/servers": SERVERS });
    opened.mockReturnValue(window);
    vi.stubGlobal("open", opened);
    draw(<New />);
    await waitFor(() => expect(note()).not.toBeNull());
    fireEvent.click(screen.getByRole("button", { name: "Connect your account at TRACKER" }));
    expect(opened).toHaveBeenCalledWith("/api/v1/mcp/servers/tracker/oauth2/connect", expect.anything(), expect.anything());
    await open();
    fireEvent.click(box("TRACKER"));
    expect(note()).toBeNull();
  });

  it("is known to be connected when the window says so, and not when another page does", async () => {
    let servers = SERVERS;
    vi.stubGlobal("fetch", vi.fn<typeof fetch>(async (input) => Response.json(String(input).includes("/mcp/servers") ? servers : [])));
    draw(<New />);
    await waitFor(() => expect(note()).not.toBeNull());
    servers = SERVERS.map((server) => ({ ...server, auth_connected: true }));
    const asked = () => vi.mocked(fetch).mock.calls.filter(([input]) => String(input).includes("/mcp/servers")).length;
    const before = asked();
    const say = (origin: string) => act(() => window.dispatchEvent(new MessageEvent("message", { origin, data: { type: "mcp-oauth2-complete", serverID: "tracker" } })));
    say("https://elsewhere.example.com");
    expect(asked()).toBe(before);
    say(window.location.origin);
    await waitFor(() => expect(note()).toBeNull());
  });
});

import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { Chat, PendingToolCall } from "@/api/types.ts";
import { currentToasts } from "@/components/toasts.ts";
import { CHAT, chat, toolRow } from "@/testing/fixtures.ts";
import { draw, serve } from "@/testing/server.tsx";
import { OpenedContext } from "../opened.ts";
import { proposedEdits } from "../tools/proposed.ts";
import { ToolCard } from "../tools/ToolCard.tsx";
import { ApprovalBar } from "./ApprovalBar.tsx";
import { ApprovalsProvider } from "./ApprovalsProvider.tsx";
import { APPROVE, decisionsOn, isWaiting, nameOf } from "./approvals.ts";

const POST = `POST /chats/${CHAT}/approvals`;
const PATCH = `PATCH /chats/${CHAT}`;
const ME = { id: "me", username: "me", name: "", email: "", organization_ids: [], roles: [] };
const soon = () => new Date(Date.now() + 7_500_000).toISOString();

const pending = (id: string, change: Partial<PendingToolCall> = {}): PendingToolCall => ({
  tool_call_id: id,
  tool_name: "execute",
  args: JSON.stringify({ command: id }),
  approval: { digest: `d${id}`, risk: "unknown", reason: "It runs a command that is not known to be harmless" },
  ...change,
});

/** A chat in which these calls wait, with its cards and its end. */
function show(calls: readonly PendingToolCall[], answers: Record<string, unknown> = {}, change: Partial<Chat> = {}) {
  const one = chat({ status: "requires_action", approval_mode: "risky", action_expires_at: soon(), ...change });
  const asked = serve({ "GET /users/me": ME, [`GET /chats/${CHAT}`]: one, [POST]: one, [PATCH]: {}, ...answers });
  const onOld = vi.fn<() => void>();
  draw(
    <ApprovalsProvider chatId={CHAT} chat={one} pending={calls} onOld={onOld}>
      <OpenedContext value={new Map()}>
        {calls.filter(isWaiting).map((call) => (
          <ToolCard key={call.tool_call_id} row={toolRow({ key: call.tool_call_id, callId: call.tool_call_id, args: { command: call.tool_call_id }, state: "awaiting", result: undefined, endedAt: null, approval: call.approval })} />
        ))}
        <ApprovalBar />
      </OpenedContext>
    </ApprovalsProvider>,
  );
  return { asked, onOld };
}
const button = (name: string | RegExp) => screen.findByRole("button", { name });
const refusal = (status: number, message: string) => Response.json({ message }, { status });

describe("a call that waits", () => {
  it("says what would run, why it is asked, how risky it is, who is asked and until when", async () => {
    show([pending("rm -rf target")]);
    await button("Approve: Run rm -rf target");
    for (const text of ["It runs a command that is not known to be harmless.", "Effects unknown", "You are asked: this chat is yours.", "waits for you"]) expect(screen.getByText(text)).toBeTruthy();
    const end = await screen.findByText("the wait ends in 2 h");
    expect(end.getAttribute("title")).not.toBe("");
  });

  it("is approved with what was shown, once", async () => {
    const { asked } = show([pending("ls")]);
    fireEvent.click(await button(/^Approve/));
    await waitFor(() => expect(asked).toEqual([{ what: POST, body: { decisions: [{ tool_call_id: "ls", digest: "dls", decision: "approve" }] } }]));
    expect(await screen.findByText("Sending your decision")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /^Change/ })).toBeNull();
  });

  it("is declined with a note, or without one", async () => {
    const { asked } = show([pending("ls")]);
    fireEvent.click(await button(/^Decline/));
    fireEvent.change(screen.getByLabelText("Note to the model"), { target: { value: " use find " } });
    fireEvent.click(screen.getByRole("button", { name: "Decline the call" }));
    await waitFor(() => expect(asked[0]?.body).toEqual({ decisions: [{ tool_call_id: "ls", digest: "dls", decision: "decline", reason: "use find" }] }));
    expect(decisionsOn([pending("a")].filter(isWaiting), new Map([["a da", { decision: "decline", note: " " }]]))).toEqual([{ tool_call_id: "a", digest: "da", decision: "decline" }]);
  });

  it("is neither declined nor stopped by Escape: the question is there again", async () => {
    const { asked } = show([pending("ls")]);
    const onEscape = vi.fn<(event: KeyboardEvent) => void>();
    window.addEventListener("keydown", onEscape);
    fireEvent.click(await button(/^Decline/));
    fireEvent.keyDown(screen.getByRole("button", { name: "Decline the call" }), { key: "Escape" });
    fireEvent.click(await button(/^Do not ask again/));
    fireEvent.keyDown(screen.getByRole("button", { name: "Keep asking" }), { key: "Escape" });
    window.removeEventListener("keydown", onEscape);
    expect(await button("Approve: Run ls")).toHaveProperty("disabled", false);
    expect([asked, onEscape.mock.calls]).toEqual([[], []]);
  });

  it("cannot be declined with more words than the server takes", async () => {
    show([pending("ls")]);
    fireEvent.click(await button(/^Decline/));
    fireEvent.change(screen.getByLabelText("Note to the model"), { target: { value: "x".repeat(1_030) } });
    expect(screen.getByRole("button", { name: "Decline the call" })).toHaveProperty("disabled", true);
    expect(screen.getByRole("alert").textContent).toBe("This is 6 bytes too long.");
  });

  it("is decided by its owner only", async () => {
    show([pending("ls")], {}, { owner_id: "somebody else" });
    await screen.findByText("The owner of this chat is asked. Only they can decide.");
    expect(screen.queryByRole("button", { name: /Approve|Decline/ })).toBeNull();
  });
});

describe("several calls that wait", () => {
  it("are sent when the last one is decided, and a word can be taken back until then", async () => {
    const { asked } = show([pending("a"), pending("b")]);
    fireEvent.click(await button("Approve: Run a"));
    expect(await screen.findByText("1 of 2 decided")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Change: Run a" }));
    expect(screen.queryByText("1 of 2 decided")).toBeNull();
    fireEvent.click(await button("Approve: Run b"));
    expect(asked).toEqual([]);
    fireEvent.click(await button("Decline the last one…"));
    fireEvent.click(screen.getByRole("button", { name: "Decline the last one" }));
    await waitFor(() => expect(asked[0]?.body).toEqual({ decisions: [{ tool_call_id: "a", digest: "da", decision: "decline" }, { tool_call_id: "b", digest: "db", decision: "approve" }] }));
  });

  it("do not count what a program has to answer", async () => {
    const { approval: _, ...outside } = pending("c");
    const { asked } = show([pending("a"), pending("b"), outside]);
    fireEvent.click(await button("Approve all"));
    await waitFor(() => expect(asked[0]?.body).toMatchObject({ decisions: [{ tool_call_id: "a" }, { tool_call_id: "b" }] }));
  });

  it("lose a word that was said about something else", () => {
    const [before, after] = [pending("a"), pending("a", { approval: { digest: "other", risk: "unknown", reason: "" } })].filter(isWaiting);
    expect(before && after && decisionsOn([after], new Map([[nameOf(before), APPROVE]]))).toBeNull();
  });
});

describe("a decision that does not arrive", () => {
  it("because somebody else was faster is said, and everything is told anew", async () => {
    const { onOld } = show([pending("ls")], { [POST]: refusal(409, "Nothing waits for approval.") });
    fireEvent.click(await button(/^Approve/));
    await waitFor(() => expect(onOld).toHaveBeenCalledOnce());
    expect(currentToasts().at(-1)?.text).toMatch(/decided already, here or on another device.* Nothing waits for approval\.$/);
  });

  it("for any other reason is kept, and can be sent again", async () => {
    const { asked } = show([pending("ls")], { [POST]: refusal(500, "The database is away.") });
    fireEvent.click(await button(/^Approve/));
    expect((await screen.findByRole("alert")).textContent).toContain("Not sent. The database is away.");
    fireEvent.click(await button("Send again"));
    await waitFor(() => expect(asked).toHaveLength(2));
    expect(asked[1]?.body).toEqual(asked[0]?.body);
  });
});

describe("asking no more", () => {
  it("changes the chat, then approves what waits", async () => {
    const { asked } = show([pending("ls")]);
    fireEvent.click(await button(/^Do not ask again/));
    expect(screen.getByText(/from then on the agent runs everything/)).toBeTruthy();
    expect(asked).toEqual([]);
    fireEvent.click(screen.getByRole("button", { name: "Approve, and do not ask again" }));
    await waitFor(() => expect(asked.map(({ what }) => what)).toEqual([PATCH, POST]));
    expect(asked[0]?.body).toEqual({ approval_mode: "never" });
  });

  it("is not offered again where the operator wants to be asked, and approves nothing", async () => {
    const { asked } = show([pending("ls")], { [PATCH]: refusal(400, "approval_mode: must be at least risky here") });
    fireEvent.click(await button(/^Do not ask again/));
    fireEvent.click(screen.getByRole("button", { name: "Approve, and do not ask again" }));
    expect(await screen.findByText("This chat goes on asking: approval_mode: must be at least risky here")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /ask again/ })).toBeNull();
    expect(asked.map(({ what }) => what)).toEqual([PATCH]);
    expect(await button(/^Approve/)).toHaveProperty("disabled", false);
  });
});

describe("proposed edits", () => {
  it("are read in both forms in which models send them", () => {
    const edit = { search: "a", replace: "b" };
    const wanted = [{ path: "/x", edits: [{ ...edit, note: "" }, { ...edit, note: "wherever it stands" }] }];
    expect(proposedEdits({ files: [{ path: "/x", edits: [edit, { ...edit, replace_all: true }] }] })).toEqual(wanted);
    expect(proposedEdits({ edits: [{ path: "/x", ...edit }, { path: "/x", ...edit, replace_all: true }] })).toEqual(wanted);
  });
});

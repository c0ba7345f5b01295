import { act, fireEvent, renderHook, screen, waitFor } from "@testing-library/react";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { beforeEach, describe, expect, it } from "vitest";
import type { Chat } from "@/api/types.ts";
import { currentToasts } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { usePrefs } from "@/data/prefs.ts";
import { CHAT, chat } from "@/testing/fixtures.ts";
import { draw, serve } from "@/testing/server.tsx";
import { ApprovalsContext, isWaiting, NOTHING_WAITS } from "../approvals/approvals.ts";
import { WaitNote } from "../approvals/WaitNote.tsx";
import { ApprovalPicker } from "./ApprovalPicker.tsx";
import { useApprovalChoice, useNewApprovalChoice } from "./useApprovalChoice.ts";

let client: QueryClient;
const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={client}>{children}</QueryClientProvider>;
beforeEach(() => {
  client = new QueryClient();
  usePrefs.setState({ approvalMode: "" });
});

describe("before what a chat asks", () => {
  it("is one of three, each with what it means", () => {
    draw(<ApprovalPicker choice={{ mode: "risky", sent: undefined, choose: (mode) => usePrefs.setState({ approvalMode: mode }) }} />);
    fireEvent.click(screen.getByRole("button", { name: "Approvals: Ask before risky calls · Asks if risky" }));
    expect(screen.getAllByRole("menuitemradio").map((item) => item.getAttribute("aria-checked"))).toEqual(["false", "true", "false"]);
    fireEvent.click(screen.getByRole("menuitemradio", { name: /You are asked before everything that does more than read/ }));
    expect(usePrefs.getState().approvalMode).toBe("always");
  });

  it("is remembered for new chats, and sent where it is more than nothing", () => {
    const { result } = renderHook(useNewApprovalChoice, { wrapper });
    expect(result.current).toMatchObject({ mode: "never", sent: undefined });
    act(() => result.current.choose("risky"));
    expect(result.current).toMatchObject({ mode: "risky", sent: "risky" });
    act(() => result.current.choose("never"));
    expect(result.current).toMatchObject({ mode: "never", sent: undefined });
  });

  it("changes at once in a chat that is there, and is no choice for new ones", async () => {
    const asked = serve({ [`PATCH /chats/${CHAT}`]: {}, "GET /chats": [] });
    client.setQueryData<Chat[]>(keys.chats, [chat()]);
    const { result } = renderHook(() => useApprovalChoice(chat()), { wrapper });
    act(() => result.current.choose("always"));
    expect(result.current.mode).toBe("always");
    await waitFor(() => expect(asked).toEqual([{ what: `PATCH /chats/${CHAT}`, body: { approval_mode: "always" } }]));
    expect(client.getQueryData<Chat[]>(keys.chats)?.[0]?.approval_mode).toBe("always");
    expect(usePrefs.getState().approvalMode).toBe("");
  });

  it("is taken back when the server refuses it, with its words", async () => {
    serve({ [`PATCH /chats/${CHAT}`]: Response.json({ message: "must be at least risky" }, { status: 400 }) });
    client.setQueryData<Chat[]>(keys.chats, [chat({ approval_mode: "always" })]);
    const { result } = renderHook(() => useApprovalChoice(chat({ approval_mode: "always" })), { wrapper });
    act(() => result.current.choose("never"));
    await waitFor(() => expect(result.current.mode).toBe("always"));
    expect(client.getQueryData<Chat[]>(keys.chats)?.[0]?.approval_mode).toBe("always");
    expect(currentToasts().at(-1)?.text).toBe("Not changed. must be at least risky");
  });
});

describe("a message that is written while a call waits", () => {
  const calls = [{ tool_call_id: "a", tool_name: "execute", args: "{}", approval: { digest: "1", risk: "unknown" as const, reason: "" } }].filter(isWaiting);
  const show = (hasText: boolean, interrupt = () => undefined as void) =>
    draw(
      <ApprovalsContext value={{ ...NOTHING_WAITS, calls, mayDecide: true }}>
        <WaitNote hasText={hasText} isSending={false} onInterrupt={interrupt} />
      </ApprovalsContext>,
    );

  it("is said to be queued, with the other way", () => {
    let interrupted = 0;
    show(true, () => void interrupted++);
    expect(screen.getByText("Queued until the call above is decided.")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Decline and continue" }));
    expect(interrupted).toBe(1);
  });

  it("is nothing to talk about before there is one", () => {
    show(false);
    expect(document.body.textContent).toBe("");
  });
});

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, renderHook, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { keys } from "@/data/keys.ts";
import { CHAT, chat } from "@/testing/fixtures.ts";
import type { Chat } from "@/api/types.ts";
import { Composer } from "./Composer.tsx";
import { usePlanChoice } from "./usePlanChoice.ts";

let client: QueryClient;
const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={client}>{children}</QueryClientProvider>;

beforeEach(() => {
  client = new QueryClient();
  vi.stubGlobal("fetch", vi.fn<typeof fetch>(async () => new Response("[]")));
});

describe("planning first", () => {
  it("goes along with the next message, and with no other", () => {
    client.setQueryData<Chat[]>(keys.chats, [chat()]);
    const { result, rerender } = renderHook(({ one }) => usePlanChoice(one), { wrapper, initialProps: { one: chat() } });
    expect(result.current).toMatchObject({ isOn: false, sent: undefined });
    act(() => result.current.toggle());
    expect(result.current).toMatchObject({ isOn: true, sent: "plan" });
    act(() => result.current.settle("plan"));
    const stored = client.getQueryData<Chat[]>(keys.chats)?.[0];
    expect(stored).toMatchObject({ id: CHAT, plan_mode: "plan" });
    rerender({ one: chat({ plan_mode: "plan" }) });
    expect(result.current).toMatchObject({ isOn: true, sent: undefined });
    act(() => result.current.toggle());
    expect(result.current).toMatchObject({ isOn: false, sent: "" });
    act(() => result.current.toggle());
    expect(result.current).toMatchObject({ isOn: true, sent: undefined });
  });

  it("makes another wish of the same text: it is not taken for a repetition", async () => {
    const onSend = vi.fn<(message: { key: string }) => Promise<void>>().mockRejectedValue(new Error("away"));
    const toggle = vi.fn<() => void>();
    const show = (sent: "plan" | undefined) => (
      <QueryClientProvider client={client}>
        <Composer draftKey="p" organizationId="o" modelId="" onModel={() => undefined} plan={{ isOn: sent !== undefined, sent, toggle }} onSend={onSend} onStop={() => undefined} />
      </QueryClientProvider>
    );
    const { rerender } = render(show(undefined));
    const area = screen.getByLabelText("Message");
    fireEvent.change(area, { target: { value: "go" } });
    fireEvent.keyDown(area, { key: "Enter" });
    await waitFor(() => expect(onSend).toHaveBeenCalledTimes(1));
    const button = screen.getByRole("button", { name: "Plan first" });
    expect(button.getAttribute("aria-pressed")).toBe("false");
    fireEvent.click(button);
    expect(toggle).toHaveBeenCalledOnce();
    rerender(show("plan"));
    await waitFor(() => expect(area).toHaveProperty("readOnly", false));
    fireEvent.keyDown(area, { key: "Enter" });
    await waitFor(() => expect(onSend).toHaveBeenCalledTimes(2));
    const [first, second] = onSend.mock.calls.map(([message]) => message.key);
    expect(second).not.toBe(first);
  });
});

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, unreachable } from "@/api/problem.ts";
import { readDraft, writeDraft } from "@/lib/drafts.ts";
import { Composer, type ComposerProps } from "./Composer.tsx";
import type { Outgoing } from "./useComposer.ts";

const onSend = vi.fn<(message: Outgoing) => Promise<void>>();
const onStop = vi.fn<() => void>();

beforeEach(() => {
  onSend.mockReset().mockResolvedValue(undefined);
  onStop.mockReset();
  vi.stubGlobal("fetch", vi.fn<typeof fetch>(async () => new Response("[]")));
});

function show(props: Partial<ComposerProps> = {}) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Composer draftKey="c" organizationId="o" modelId="" onModel={() => undefined} onSend={onSend} onStop={onStop} {...props} />
    </QueryClientProvider>,
  );
  const area = screen.getByLabelText<HTMLTextAreaElement>("Message");
  const type = (value: string) => fireEvent.change(area, { target: { value } });
  const press = (key: string, more: object = {}) => fireEvent.keyDown(area, { key, ...more });
  return { area, type, press };
}

describe("the composer", () => {
  it("sends with Enter and is empty once the server has the message", async () => {
    const { area, type, press } = show();
    type("  hello ");
    press("Enter");
    await waitFor(() => expect(area.value).toBe(""));
    expect(onSend).toHaveBeenCalledWith({ text: "hello", fileIds: [], behavior: "queue", key: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
    expect(readDraft("c")).toBe("");
  });

  it("keeps the text, says why and lets the reader try again when sending fails", async () => {
    onSend.mockRejectedValueOnce(new ApiError(500, "The database is away."));
    const { area, type, press } = show();
    type("precious");
    press("Enter");
    await screen.findByText("The database is away.");
    expect(area.value).toBe("precious");
    expect(readDraft("c")).toBe("precious");
    press("Enter");
    await waitFor(() => expect(area.value).toBe(""));
    expect(onSend).toHaveBeenCalledTimes(2);
  });

  it("keeps the text while it is on its way, and sends it only once", async () => {
    let confirm = () => {};
    onSend.mockReturnValueOnce(new Promise((resolve) => (confirm = resolve)));
    const { area, type, press } = show();
    type("once");
    press("Enter");
    press("Enter");
    expect(area.value).toBe("once");
    confirm();
    await waitFor(() => expect(area.value).toBe(""));
    expect(onSend).toHaveBeenCalledOnce();
  });

  it("remembers the draft of its chat", () => {
    writeDraft("c", "from before");
    expect(show().area.value).toBe("from before");
  });

  it("makes a new line with Shift and Enter, and sends nothing that is empty", () => {
    const { type, press } = show();
    press("Enter");
    type("a");
    press("Enter", { shiftKey: true });
    expect(onSend).not.toHaveBeenCalled();
  });

  it.each([
    [true, 1],
    [false, 0],
  ])("with the agent at work (%s), Escape stops it %i times", (isBusy, times) => {
    show({ isBusy }).press("Escape");
    expect(onStop).toHaveBeenCalledTimes(times);
  });

  it("queues while the agent works, and can send now instead", async () => {
    const { type } = show({ isBusy: true });
    type("next");
    fireEvent.click(screen.getByRole("button", { name: "More ways to send" }));
    fireEvent.click(await screen.findByRole("menuitem", { name: /Send now/ }));
    await waitFor(() => expect(onSend).toHaveBeenCalledWith(expect.objectContaining({ behavior: "interrupt" })));
  });

  const keysSent = () => onSend.mock.calls.map(([message]) => message.key);

  it("repeats a lost attempt under its key, and gives changed text a new one", async () => {
    onSend.mockRejectedValueOnce(unreachable()).mockRejectedValueOnce(unreachable());
    const { type, press } = show();
    type("precious");
    press("Enter");
    await screen.findByText(/It may have arrived all the same/);
    cleanup();
    const again = show();
    expect(again.area.value).toBe("precious");
    again.press("Enter");
    await screen.findByText(/It may have arrived all the same/);
    again.type("precious!");
    again.press("Enter");
    await waitFor(() => expect(again.area.value).toBe(""));
    const [first, second, third] = keysSent();
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it("gives the same words a new key once they were confirmed or refused", async () => {
    onSend.mockResolvedValueOnce(undefined).mockRejectedValueOnce(new ApiError(429, "The queue is full."));
    const { area, type, press } = show();
    for (const outcome of [() => expect(area.value).toBe(""), () => expect(screen.queryByText("The queue is full.")).not.toBeNull(), () => expect(area.value).toBe("")]) {
      type("continue");
      press("Enter");
      await waitFor(outcome);
    }
    expect(new Set(keysSent()).size).toBe(3);
  });

  it("empties itself when a message whose confirmation got lost turns up in the chat", async () => {
    onSend.mockRejectedValueOnce(unreachable());
    const mark = { messageId: 3, queuedId: 0 };
    const { type, press } = show({ mark });
    type("precious");
    press("Enter");
    await screen.findByText(/It may have arrived all the same/);
    cleanup();
    const hasArrived = vi.fn<NonNullable<ComposerProps["hasArrived"]>>((text) => text === "precious");
    const { area } = show({ hasArrived });
    await waitFor(() => expect(area.value).toBe(""));
    expect(hasArrived).toHaveBeenCalledWith("precious", mark);
    expect(readDraft("c")).toBe("");
  });

  it("offers commands after a slash and runs the chosen one instead of sending it", async () => {
    const onCommand = vi.fn<(name: string) => Promise<void>>(async () => undefined);
    const { area, type, press } = show({ onCommand });
    type("/");
    expect(screen.getAllByRole("option").map((option) => option.textContent?.split(/\W+/)[1])).toEqual(["compactSummarize", "clearLet"]);
    press("ArrowDown");
    press("Enter");
    expect(onCommand).toHaveBeenCalledWith("clear");
    await waitFor(() => expect(area.value).toBe(""));
    expect(onSend).not.toHaveBeenCalled();
  });

  it("sends text that only begins like a command, and runs no command while the agent works", () => {
    const onCommand = vi.fn<(name: string) => Promise<void>>(async () => undefined);
    const { type, press } = show({ onCommand, isBusy: true });
    type("/clear");
    press("Enter");
    expect(onCommand).not.toHaveBeenCalled();
    expect(onSend).not.toHaveBeenCalled();
    type("/etc/hosts is wrong");
    press("Enter");
    expect(onSend).toHaveBeenCalledOnce();
  });

  it("closes the commands with Escape without stopping the agent", () => {
    const { type, press } = show({ onCommand: async () => undefined, isBusy: true });
    type("/");
    press("Escape");
    expect(screen.queryByRole("listbox")).toBeNull();
    expect(onStop).not.toHaveBeenCalled();
  });

  it("keeps what was attached over a reload", async () => {
    vi.stubGlobal("fetch", vi.fn<typeof fetch>(async (input) => new Response(String(input).includes("/chats/files") ? '{"id":"f1"}' : "[]")));
    show();
    fireEvent.change(screen.getByLabelText("Choose files"), { target: { files: [new File(["a,b"], "data.csv", { type: "text/csv" })] } });
    await screen.findByText("data.csv");
    await waitFor(() => expect(localStorage.getItem("tandem.draft-files.c")).toContain("f1"));
    cleanup();
    const { press } = show();
    expect(screen.getByText("data.csv")).toBeTruthy();
    press("Enter");
    await waitFor(() => expect(onSend).toHaveBeenCalledWith(expect.objectContaining({ fileIds: ["f1"] })));
    await waitFor(() => expect(localStorage.getItem("tandem.draft-files.c")).toBeNull());
  });

  it("walks earlier prompts with the arrow keys in an empty field", () => {
    const { area, press } = show({ prompts: ["newest", "oldest"] });
    press("ArrowUp");
    press("ArrowUp");
    expect(area.value).toBe("oldest");
    press("ArrowDown");
    press("ArrowDown");
    expect(area.value).toBe("");
  });
});

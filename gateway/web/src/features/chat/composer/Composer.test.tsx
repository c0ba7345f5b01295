import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "@/api/problem.ts";
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
    expect(onSend).toHaveBeenCalledWith({ text: "hello", fileIds: [], behavior: "queue" });
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

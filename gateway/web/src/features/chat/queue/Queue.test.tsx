import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { QueuedMessage } from "@/api/types.ts";
import { CHAT, NOW } from "@/testing/fixtures.ts";
import { Queue } from "./Queue.tsx";

const queued = (id: number, text: string): QueuedMessage => ({ id, chat_id: CHAT, model_config_id: "m", created_at: NOW, content: [{ type: "text", text }, { type: "file", media_type: "image/png", file_id: `f${String(id)}` }] });
const QUEUE = [queued(1, "first"), queued(2, "second"), queued(3, "third")];

interface Call {
  method: string;
  path: string;
  body: unknown;
}
let calls: Call[] = [];
let answers: Record<string, () => Response> = {};

beforeEach(() => {
  calls = [];
  answers = {};
  vi.stubGlobal(
    "fetch",
    vi.fn<typeof fetch>(async (input, init) => {
      const path = String(input).replace(`/api/v1/chats/${CHAT}`, "");
      const method = init?.method ?? "GET";
      calls.push({ method, path, body: init?.body ? JSON.parse(String(init.body)) : undefined });
      return answers[`${method} ${path}`]?.() ?? new Response(method === "POST" ? '{"queued":true,"queued_message":{"id":9}}' : null, { status: method === "POST" ? 200 : 204 });
    }),
  );
});

function show(queue = QUEUE) {
  const { rerender } = render(<Queue chatId={CHAT} queue={queue} isHeld={false} />);
  return (next: readonly QueuedMessage[]) => rerender(<Queue chatId={CHAT} queue={next} isHeld={false} />);
}
const rows = () => screen.getAllByRole("listitem");
const words = () => rows().map((row) => /first|second|third/.exec(row.textContent ?? "")?.[0]);
const button = (row: number, name: string | RegExp) => within(rows()[row] ?? document.body).getByRole("button", { name });
const made = () => calls.map(({ method, path }) => `${method} ${path}`);

describe("waiting messages", () => {
  it("are moved by key, at once on the page and then on the server", async () => {
    const update = show();
    fireEvent.keyDown(button(0, /^Place 1 of 3/), { key: "ArrowDown" });
    expect(words()).toEqual(["second", "first", "third"]);
    expect(screen.getByText("Moved to place 2 of 3")).toBeTruthy();
    await waitFor(() => expect(calls).toEqual([{ method: "PATCH", path: "/queue/1", body: { position: 1 } }]));
    update([queued(2, "second"), queued(1, "first")]);
    expect(words()).toEqual(["second", "first"]);
  });

  it("go back where they were when the server cannot sort", async () => {
    answers["PATCH /queue/3"] = () => new Response("{}", { status: 404 });
    show();
    fireEvent.keyDown(button(2, /^Place 3 of 3/), { key: "Home" });
    expect(words()).toEqual(["third", "first", "second"]);
    await waitFor(() => expect(words()).toEqual(["first", "second", "third"]));
  });

  it("do not move beyond the ends", () => {
    show();
    fireEvent.keyDown(button(0, /^Place 1 of 3/), { key: "ArrowUp" });
    fireEvent.keyDown(button(2, /^Place 3 of 3/), { key: "ArrowDown" });
    expect(calls).toEqual([]);
  });

  it("are removed at once, and come back with the reason when that fails", async () => {
    answers["DELETE /queue/2"] = () => new Response('{"message":"No."}', { status: 500 });
    show();
    fireEvent.click(button(1, "Remove from the queue"));
    expect(words()).toEqual(["first", "third"]);
    await waitFor(() => expect(words()).toEqual(["first", "second", "third"]));
  });

  it("say that they are on their way when they are sent now", async () => {
    show();
    fireEvent.click(button(2, /^Send now/));
    expect(within(rows()[2] ?? document.body).getByText("Sending")).toBeTruthy();
    await waitFor(() => expect(made()).toEqual(["POST /queue/3/promote"]));
  });

  const edit = (row: number, text: string) => {
    fireEvent.click(button(row, "Edit"));
    fireEvent.change(screen.getByLabelText("New text of the waiting message"), { target: { value: text } });
  };

  it("get other words in their place, with what was attached", async () => {
    show();
    edit(1, "better");
    fireEvent.keyDown(screen.getByLabelText("New text of the waiting message"), { key: "Enter" });
    await waitFor(() => expect(made()).toEqual(["DELETE /queue/2", "POST /messages", "PATCH /queue/9"]));
    expect(calls[1]?.body).toEqual({ content: [{ type: "text", text: "better" }, { type: "file", file_id: "f2" }], busy_behavior: "queue", model_config_id: "m" });
    expect(calls[2]?.body).toEqual({ position: 1 });
  });

  it("keep what was typed when their turn comes meanwhile, and send it as a message of its own", async () => {
    const update = show();
    edit(0, "too late?");
    update(QUEUE.slice(1));
    expect(screen.getByText("This message was sent while you were editing it.")).toBeTruthy();
    expect(screen.getByLabelText<HTMLTextAreaElement>("New text of the waiting message").value).toBe("too late?");
    fireEvent.click(screen.getByRole("button", { name: "Queue as a new message" }));
    await waitFor(() => expect(made()).toEqual(["POST /messages"]));
  });

  it("keep what was typed when saving fails half-way, and do not remove anything twice", async () => {
    let failing = true;
    answers["POST /messages"] = () => new Response(failing ? '{"message":"Away."}' : '{"queued":true,"queued_message":{"id":9}}', { status: failing ? 503 : 200 });
    const update = show();
    edit(0, "again");
    fireEvent.click(screen.getByRole("button", { name: "Save" }));
    await screen.findByText(/Away\./);
    act(() => update(QUEUE.slice(1)));
    expect(screen.queryByText(/was sent while/)).toBeNull();
    failing = false;
    fireEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(made()).toEqual(["DELETE /queue/1", "POST /messages", "POST /messages", "PATCH /queue/9"]));
    await waitFor(() => expect(screen.queryByLabelText("New text of the waiting message")).toBeNull());
  });

  it("are nothing when there are none", () => {
    render(<Queue chatId={CHAT} queue={[]} isHeld={false} />);
    expect(screen.queryByRole("region")).toBeNull();
  });
});

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { PlanMode } from "@/api/chats.ts";
import { ApiError } from "@/api/problem.ts";
import type { Row, ToolRow } from "@/stream/timeline.ts";
import { NOW, toolRow } from "@/testing/fixtures.ts";
import { AnsweringContext, awaitedRow } from "../answering.ts";
import { OpenedContext } from "../opened.ts";
import { ToolCard } from "./ToolCard.tsx";

const say = vi.fn<(text: string, mode?: PlanMode) => Promise<void>>();
const plan = toolRow({ name: "propose_plan", args: { path: "/home/a/.coder/plans/PLAN-1.md" }, result: { ok: true, kind: "plan", file_id: "f1", media_type: "text/markdown" } });
const question = toolRow({
  name: "ask_user_question",
  args: {},
  result: { questions: [{ header: "Store", question: "Which database?", options: [{ label: "PostgreSQL", description: "On a server" }, { label: "SQLite", description: "In a file" }] }] },
});
const user: Row = { kind: "user", key: "m9", messageId: 9, text: "yes", files: [], references: [], modelId: "", createdAt: NOW };

beforeEach(() => {
  say.mockReset().mockResolvedValue(undefined);
  vi.stubGlobal("fetch", vi.fn<typeof fetch>(async () => new Response("# Move the store\n\nIn three steps.")));
});

function show(row: ToolRow, rowKey: string | null = row.key) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <OpenedContext value={new Map()}>
        <AnsweringContext value={{ rowKey, say }}>
          <ToolCard row={row} />
        </AnsweringContext>
      </OpenedContext>
    </QueryClientProvider>,
  );
}

describe("what waits for the reader", () => {
  it("is the last plan or question, until somebody says something", () => {
    expect(awaitedRow([user, plan])).toBe(plan);
    expect(awaitedRow([plan, question])).toBe(question);
    expect(awaitedRow([plan, user])).toBeNull();
    expect(awaitedRow([toolRow()])).toBeNull();
    expect(awaitedRow([{ ...plan, state: "failed" }])).toBeNull();
  });
});

describe("a plan", () => {
  it("reads as a document by itself, and approving it ends the planning", async () => {
    show(plan);
    expect(await screen.findByRole("heading", { name: "Move the store" })).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Approve and carry out" }));
    await waitFor(() => expect(say).toHaveBeenCalledWith("The plan is approved. Carry it out.", ""));
  });

  it("cannot be approved once something newer was said", async () => {
    show(plan, null);
    await screen.findByRole("heading", { name: "Move the store" });
    expect(screen.queryByRole("button", { name: "Approve and carry out" })).toBeNull();
  });

  it("says why approving failed", async () => {
    say.mockRejectedValueOnce(new ApiError(500, "The database is away."));
    show(plan);
    fireEvent.click(await screen.findByRole("button", { name: "Approve and carry out" }));
    expect((await screen.findByRole("alert")).textContent).toBe("The database is away.");
  });
});

describe("a question", () => {
  it("is answered by an option, in the same mode", async () => {
    show(question);
    const send = await screen.findByRole("button", { name: "Send the answer" });
    expect(send).toHaveProperty("disabled", true);
    fireEvent.click(screen.getByRole("radio", { name: /SQLite/ }));
    fireEvent.click(send);
    await waitFor(() => expect(say).toHaveBeenCalledWith("SQLite", undefined));
  });

  it("is answered in the reader's own words, which take back the option", async () => {
    show(question);
    fireEvent.click(await screen.findByRole("radio", { name: /PostgreSQL/ }));
    fireEvent.change(screen.getByLabelText("Another answer to: Which database?"), { target: { value: "Redis" } });
    expect(screen.getByRole("radio", { name: /PostgreSQL/ })).toHaveProperty("checked", false);
    fireEvent.click(screen.getByRole("button", { name: "Send the answer" }));
    await waitFor(() => expect(say).toHaveBeenCalledWith("Redis", undefined));
  });

  it("is only read when it was answered", async () => {
    show(question, null);
    expect(await screen.findByRole("radio", { name: /SQLite/ })).toHaveProperty("disabled", false);
    expect(screen.getByRole("group", { name: /Which database/ })).toHaveProperty("disabled", true);
    expect(screen.queryByRole("button", { name: /Send/ })).toBeNull();
  });
});

import { fireEvent, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { describe, expect, it } from "vitest";
import type { ToolRow } from "@/stream/timeline.ts";
import { toolRow } from "@/testing/fixtures.ts";
import { OpenedContext } from "../opened.ts";
import { partialArgs, summarize } from "./summary.ts";
import { ToolCard } from "./ToolCard.tsx";

/** Every card with a memory of its own of what was opened. */
const show = (card: ReactNode) => render(<OpenedContext value={new Map()}>{card}</OpenedContext>);

const line = (change: Partial<ToolRow>) => {
  const { verb, object, outcome } = summarize(toolRow(change));
  return [verb, object, outcome?.text ?? ""].join(" | ");
};

const LOST = "Interrupted by the user before a result was recorded; the outcome is unknown.";

describe("a tool's one line", () => {
  it.each<[string, Partial<ToolRow>]>([
    ["Ran | cargo test | exit 0", {}],
    ["Ran | cargo test | exit 101", { result: { success: false, exit_code: 101 } }],
    ["Wants to run | cargo test | waits for you", { state: "awaiting", result: undefined }],
    ["Wants to edit | /a.rs | waits for you", { state: "awaiting", name: "edit_files", args: { files: [{ path: "/a.rs" }] }, result: undefined }],
    ["Wants to start | the workspace | waits for you", { state: "awaiting", name: "start_workspace", args: {}, result: undefined }],
    ["Did not run | cargo test | declined", { state: "failed", result: "The user declined this call. They said: not now" }],
    ["Did not run | cargo test | not allowed", { state: "failed", result: "Interrupted by the user before the call was allowed; it did not run." }],
    ["Did not run | cargo test | not allowed", { state: "failed", result: "Nobody allowed the call in time; it did not run." }],
    ["Did not run | cargo test | refused", { state: "failed", result: { error: "This call was refused: It removes everything. It is never run in this chat." } }],
    ["Running | cargo test | ", { state: "running", result: undefined }],
    ["Ran | cargo test | still running", { result: { success: false, exit_code: -1, error: "command timed out after 10s", background_process_id: "p" } }],
    ["Ran | cargo test | in background", { result: { success: true, exit_code: 0, background_process_id: "p" } }],
    ["Read | /a.md | 40 of 200 lines", { name: "read_file", args: { path: "/a.md" }, result: { lines_read: 40, total_lines: 200 } }],
    ["Wrote | /a.md | 2 lines", { name: "write_file", args: { path: "/a.md", content: "a\nb\n" }, result: { ok: true } }],
    ["Edited | /a.rs | +1 −1", { name: "edit_files", args: { files: [{ path: "/a.rs" }] }, result: { files: [{ path: "/a.rs", diff: "@@ -1 +1 @@\n-a\n+b\n" }] } }],
    ["Edited | 2 files | +0 −0", { name: "edit_files", args: { edits: [{ path: "/a" }, { path: "/b" }] }, result: { files: [] } }],
    ["Read | /x | failed", { name: "read_file", args: { path: "/x" }, state: "failed", result: { error: "no such file" } }],
    ["Ran | cargo test | outcome unknown", { state: "failed", result: LOST }],
    ["Read | /x | interrupted", { name: "read_file", args: { path: "/x" }, state: "failed", result: LOST }],
    ["Ran | cargo test | interrupted", { state: "failed", result: { error: "interrupted before it started" } }],
    ["Ran | cargo test | outcome unknown", { state: "failed", result: { error: "The outcome of this call is unknown: it was started, and what became of it cannot be found out. Check before repeating it." } }],
    ["Create issue (github) | A bug | ", { name: "github__create_issue", args: { title: "A bug" }, result: {} }],
  ])("reads %j", (expected, change) => expect(line(change)).toBe(expected));

  it("tells the command while its arguments still arrive", () => {
    expect(line({ state: "writing", args: undefined, argsText: '{"command":"echo \\"a', result: undefined })).toBe('Running | echo "a | ');
    expect(partialArgs('{"path": "/tmp/x", "conte')).toEqual({ path: "/tmp/x" });
  });

  it("survives arguments and results of any shape", () => {
    for (const odd of [null, 3, "text", [], [null], { files: [null, 3] }, { command: 3 }]) {
      for (const name of ["execute", "read_file", "edit_files", "write_file", "process_list", "other"]) {
        expect(() => show(<ToolCard row={toolRow({ name, args: odd, result: odd })} />)).not.toThrow();
      }
    }
  });
});

describe("a tool's card", () => {
  const button = () => screen.getByRole("button", { expanded: false });

  it("is one line when done, and opens to the whole output", () => {
    show(<ToolCard row={toolRow()} />);
    expect(screen.queryByLabelText("Output")).toBeNull();
    fireEvent.click(button());
    expect(screen.getByLabelText("Output").textContent).toBe("fine\n");
  });

  it("shows live output by itself while the command runs", () => {
    show(<ToolCard row={toolRow({ state: "running", result: undefined, output: "compiling…" })} />);
    expect(screen.getByLabelText("Output").textContent).toBe("compiling…");
  });

  it("shows an edit as a diff by itself", () => {
    const diff = "@@ -1 +1 @@\n-old line\n+new line\n";
    show(<ToolCard row={toolRow({ name: "edit_files", args: { files: [{ path: "/a.rs" }] }, result: { files: [{ path: "/a.rs", diff }] } })} />);
    expect(screen.getByRole("region", { name: "Changes in /a.rs" }).textContent).toContain("new line");
  });

  it("says why it failed without being opened", () => {
    show(<ToolCard row={toolRow({ name: "read_file", args: { path: "/x" }, state: "failed", result: { error: "no such file" } })} />);
    expect(screen.getByText("no such file")).toBeTruthy();
  });

  it("says of a lost outcome that it may have happened, closed and open", () => {
    show(<ToolCard row={toolRow({ state: "failed", result: LOST })} />);
    expect(screen.getByText(/It may have happened/)).toBeTruthy();
    fireEvent.click(button());
    expect(screen.getByText(/It may have happened/)).toBeTruthy();
  });

  it("shows arguments and result of a tool it does not know", async () => {
    show(<ToolCard row={toolRow({ name: "teleport", args: { to: "moon" }, result: { arrived: true } })} />);
    fireEvent.click(button());
    expect(await screen.findByText(/"to": "moon"/)).toBeTruthy();
    expect(screen.getByText(/"arrived": true/)).toBeTruthy();
  });
});

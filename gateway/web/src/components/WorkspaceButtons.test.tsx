import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { API_BASE } from "@/api/client.ts";
import type { TemplateParameter, Workspace } from "@/api/workspaces.ts";
import { EMPTY_SPEC } from "@/lib/workspace.ts";
import { draw } from "@/testing/server.tsx";
import { currentToasts, dismiss } from "./toasts.ts";
import { WorkspaceButtons } from "./WorkspaceButtons.tsx";

const workspace = { id: "w", name: "greeter", template_id: "t", status: "stopped", parameters: { repo: "tandem", size: "tiny" } } as unknown as Workspace;
const parameter = (name: string, change: Partial<TemplateParameter> = {}): TemplateParameter => ({ name, type: "string", required: true, mutable: true, display_name: "", description: "", options: [], ...change });
const size = parameter("size", { default: "small", options: ["small", "large"].map((value) => ({ name: value, value, description: "" })) });
const parameters = [parameter("repo"), parameter("region", { display_name: "Region" }), size, parameter("gpu", { type: "bool" })];

const refused = (...fields: string[]) => Response.json({ message: "It asks for other parameters.", validations: fields.map((field) => ({ field, detail: "is required" })) }, { status: 400 });

/** Starts are answered in turn; the template is there unless told otherwise. */
function starts(answers: Response[], hasTemplate = true) {
  const sent: unknown[] = [];
  const answer = (input: RequestInfo | URL, init?: RequestInit) => {
    const path = String(input).replace(API_BASE, "");
    if (path === "/workspaces/w/start") {
      sent.push(JSON.parse(String(init?.body)));
      return Promise.resolve(answers.shift() ?? Response.json({}, { status: 202 }));
    }
    return Promise.resolve(hasTemplate && path === "/templates/t" ? Response.json({ id: "t", spec: { ...EMPTY_SPEC, parameters } }) : Response.json({ message: "Not found." }, { status: 404 }));
  };
  vi.stubGlobal("fetch", vi.fn<typeof fetch>(answer));
  draw(<WorkspaceButtons workspace={workspace} />);
  fireEvent.click(screen.getByRole("button", { name: "Start greeter" }));
  return sent;
}

const submit = () => screen.getByRole<HTMLButtonElement>("button", { name: "Start it" });

describe("starting a workspace", () => {
  it("asks for what its template has come to require, and for nothing else", async () => {
    const sent = starts([refused("parameters.region", "parameters.size", "parameters.gpu")]);
    await screen.findByRole("dialog", { name: "Start greeter" });
    expect(screen.getByText(/^Region is required\. size is required\./)).toBeTruthy();
    expect(screen.queryByLabelText("repo")).toBeNull();
    // What the template offers no more is no choice.
    expect(screen.getByLabelText<HTMLSelectElement>("size").value).toBe("small");
    expect(submit().disabled).toBe(true);
    fireEvent.change(screen.getByLabelText("Region"), { target: { value: "eu" } });
    await waitFor(() => expect(submit().disabled).toBe(false));
    fireEvent.click(submit());
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(sent).toEqual([{ parameters: {} }, { parameters: { region: "eu", size: "small", gpu: "false" } }]);
  });

  it("keeps what was typed when it is refused again, and asks for what is new", async () => {
    const sent = starts([refused("parameters.region"), refused("parameters.gpu"), Response.json({ message: "Too many run." }, { status: 409 })]);
    await screen.findByRole("dialog");
    fireEvent.change(screen.getByLabelText("Region"), { target: { value: "eu" } });
    await waitFor(() => expect(submit().disabled).toBe(false));
    fireEvent.click(submit());
    await screen.findByRole("switch", { name: "gpu" });
    await waitFor(() => expect(submit().disabled).toBe(false));
    fireEvent.click(submit());
    await screen.findByText("Too many run.");
    expect(screen.getByLabelText<HTMLInputElement>("Region").value).toBe("eu");
    expect(sent.at(-1)).toEqual({ parameters: { region: "eu", gpu: "false" } });
  });

  it.each([
    ["for something else", [refused("parameters.region", "name")], true],
    ["and nobody knows the template", [refused("parameters.region")], false],
  ])("says so when it is refused %s", async (_, answers, hasTemplate) => {
    for (const { id } of currentToasts()) dismiss(id);
    starts(answers, hasTemplate);
    await waitFor(() => expect(currentToasts().map(({ text }) => text)).toEqual([expect.stringContaining("It asks for other parameters.")]));
    expect(screen.queryByRole("dialog")).toBeNull();
  });
});

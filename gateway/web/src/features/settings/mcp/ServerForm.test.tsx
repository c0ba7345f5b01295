import { fireEvent, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { McpServer, McpTool } from "@/api/mcp.ts";
import { newServerOf, patchOf, type ServerFields } from "@/lib/mcpDraft.ts";
import { mcpServer } from "@/testing/fixtures.ts";
import { draw } from "@/testing/server.tsx";
import { ServerForm } from "./ServerForm.tsx";
import { useServerDraft } from "./useServerDraft.ts";

const onSubmit = vi.fn<(fields: ServerFields, isSound: boolean) => void>();

function Form({ server, offered }: { server?: McpServer; offered?: readonly McpTool[] }) {
  const draft = useServerDraft(server);
  return (
    <ServerForm server={server} draft={draft} offered={offered} onSubmit={() => onSubmit(draft.fields, draft.isSound)}>
      <button type="submit">Save</button>
    </ServerForm>
  );
}

const type = (label: string, value: string) => fireEvent.change(screen.getByLabelText(label), { target: { value } });
const save = () => {
  onSubmit.mockReset();
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  const [fields, isSound] = onSubmit.mock.lastCall ?? [];
  if (!fields) throw new Error("nothing was submitted");
  return { fields, isSound };
};
const tool = (name: string, estimated_tokens: number): McpTool => ({ name, offered_name: `a__${name}`, description: "", input_schema: {}, estimated_tokens, allowed: true, digest: "00", changed: false });

describe("the settings of an MCP server", () => {
  it("give a new one a short name after its name, until one is typed", () => {
    draw(<Form />);
    type("Name", "Issue Tracker");
    expect(screen.getByLabelText<HTMLInputElement>("Short name").value).toBe("issue-tracker");
    type("Short name", "tracker");
    type("Name", "Another");
    type("Address", "https://a.example.com/mcp");
    const { fields, isSound } = save();
    expect(isSound).toBe(true);
    expect(newServerOf(fields)).toMatchObject({ display_name: "Another", slug: "tracker" });
  });

  it("explain each availability beside its choice", () => {
    draw(<Form />);
    fireEvent.click(screen.getByRole("radio", { name: "In every chat" }));
    expect(screen.getByText(/Nobody can switch it off/)).toBeTruthy();
    expect(save().fields.availability).toBe("force_on");
  });

  it("show of a stored secret only that it is there, and replace it when asked", () => {
    const server = mcpServer("a", { auth_type: "api_key", api_key_header: "Authorization", has_api_key: true });
    draw(<Form server={server} />);
    expect(screen.queryByLabelText("Value", { selector: "input" })).toBeNull();
    expect(screen.getByText("Stored encrypted")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Replace" }));
    const field = screen.getByLabelText<HTMLInputElement>("Value");
    expect([field.type, field.value]).toEqual(["password", ""]);
    type("Value", "Bearer x");
    expect(patchOf(save().fields, server)).toEqual({ api_key_value: "Bearer x" });
  });

  it("want the secret again for another place", () => {
    draw(<Form server={mcpServer("a", { auth_type: "api_key", api_key_header: "Authorization", has_api_key: true })} />);
    type("Address", "https://elsewhere.example.com/mcp");
    expect(screen.getByText("The address is another place. Type the key again.")).toBeTruthy();
    expect(save().isSound).toBe(false);
    type("Value", "k");
    expect(save().isSound).toBe(true);
  });

  it("collect headers, and need at least one", () => {
    draw(<Form server={mcpServer("a")} />);
    type("Kind", "custom_headers");
    expect(save().isSound).toBe(false);
    type("Name of header 1", "X-A");
    type("Value of header 1", "1");
    fireEvent.click(screen.getByRole("button", { name: "Add a header" }));
    type("Name of header 2", "X-B");
    fireEvent.click(screen.getByRole("button", { name: "Remove header 1" }));
    const { fields, isSound } = save();
    expect(isSound).toBe(true);
    expect(patchOf(fields, mcpServer("a"))).toEqual({ auth_type: "custom_headers", custom_headers: { "X-B": "" } });
  });

  it("offer no kind of authentication that the server would not use", () => {
    draw(<Form />);
    const kinds = [...screen.getByLabelText<HTMLSelectElement>("Kind").options].map(({ value }) => value);
    expect(kinds).toEqual(["none", "api_key", "custom_headers", "oauth2"]);
  });

  it("leave tools out by their names or by their boxes, and count what is left", () => {
    draw(<Form server={mcpServer("a")} offered={[tool("read", 100), tool("delete", 20)]} />);
    expect(screen.getByText(/2 of 2 for chats · about 120 tokens/)).toBeTruthy();
    fireEvent.click(screen.getByRole("checkbox", { name: "delete" }));
    expect(screen.getByText(/1 of 2 for chats · about 100 tokens/)).toBeTruthy();
    expect(screen.getByLabelText<HTMLTextAreaElement>("Tools to leave out").value).toBe("delete");
    type("Tools to leave out", "delete\nread, read\n");
    expect(save().fields.denied).toEqual(["delete", "read"]);
    fireEvent.click(screen.getByRole("radio", { name: "Only some" }));
    expect(screen.getByText("Name at least one tool, or offer all of them.")).toBeTruthy();
    expect(save().isSound).toBe(false);
  });
});

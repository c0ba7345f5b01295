import { type FormEvent, type ReactNode } from "react";
import type { McpServer, McpTool } from "@/api/mcp.ts";
import { Field } from "@/components/Field.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { Switch } from "@/components/Switch.tsx";
import { transportName } from "@/lib/mcp.ts";
import type { ServerFields } from "@/lib/mcpDraft.ts";
import { Section } from "../Section.tsx";
import { AuthFields } from "./AuthFields.tsx";
import { AvailabilityField } from "./AvailabilityField.tsx";
import { ToolFields } from "./ToolFields.tsx";
import type { ServerDraft } from "./useServerDraft.ts";

const GRID = "grid items-start gap-x-4 gap-y-4 sm:grid-cols-2";
const SWITCHES: readonly (readonly ["model_intent" | "allow_in_plan_mode" | "pinned" | "forward_coder_headers", string, string])[] = [
  ["model_intent", "Each call says what it is for", "The model adds a sentence for readers. The server never sees it."],
  ["allow_in_plan_mode", "Also while a plan is made", "Only for servers whose tools change nothing."],
  ["pinned", "Hold its tools to what you have seen", "One whose description or parameters change is not offered until an administrator accepts it."],
  ["forward_coder_headers", "Tell the server who asks", "The ids of the owner, the chat and the workspace, in headers. Only for servers you trust with them."],
];

interface ServerFormProps {
  server: McpServer | undefined;
  draft: ServerDraft;
  offered?: readonly McpTool[] | undefined;
  onSubmit: () => void;
  /** What saves it. */
  children: ReactNode;
}

/** Everything that can be set for an MCP server, saved as one. */
export function ServerForm({ server, draft, offered, onSubmit, children }: ServerFormProps) {
  const { fields, set, problems } = draft;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit();
  };
  const field = (name: "display_name" | "slug" | "description" | "icon_url" | "url") => ({
    autoComplete: "off",
    value: fields[name],
    problem: problems[name],
    onChange: (event: { target: { value: string } }) => set({ [name]: event.target.value } satisfies Partial<ServerFields>),
  });
  return (
    <form onSubmit={submit} aria-label="Settings of the MCP server" noValidate>
      <Section title="Name and address">
        <div className={GRID}>
          <Field label="Name" required maxLength={128} {...field("display_name")} />
          <Field label="Short name" required spellCheck={false} {...field("slug")} hint={`Begins the names of its tools: ${fields.slug || "name"}__tool.`} />
          <Field label="Address" type="url" inputMode="url" required spellCheck={false} placeholder="https://mcp.example.com/mcp" className="sm:col-span-2" {...field("url")} hint="Of its endpoint, as its maker names it." />
          <SelectField label="Protocol" value={fields.transport} onChange={(event) => set({ transport: event.target.value })}>
            <option value="streamable_http">{transportName("streamable_http")}</option>
            <option value="sse">{transportName("sse")}</option>
          </SelectField>
          <Field label="Description" maxLength={4096} {...field("description")} hint="For those who choose it in a chat." />
          <Field label="Picture" spellCheck={false} {...field("icon_url")} hint="An address that begins with a slash; pictures from elsewhere are not shown." />
        </div>
      </Section>
      <Section title="Authentication" text="How the server learns who asks.">
        <AuthFields server={server} draft={draft} />
      </Section>
      <Section title="Which chats use it">
        <AvailabilityField value={fields.availability} onChange={(availability) => set({ availability })} />
      </Section>
      <Section title="Tools that chats may use">
        <ToolFields draft={draft} offered={offered} />
      </Section>
      <Section title="Each call">
        <ul className="space-y-2">
          {SWITCHES.map(([name, label, text]) => (
            <li key={name}>
              <Switch label={label} checked={fields[name]} onChange={(checked) => set({ [name]: checked } satisfies Partial<ServerFields>)} />
              <p className="pl-[54px] text-sm text-faint">{text}</p>
            </li>
          ))}
        </ul>
      </Section>
      {children}
    </form>
  );
}

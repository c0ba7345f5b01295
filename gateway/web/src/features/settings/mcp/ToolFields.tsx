import { useState } from "react";
import type { McpTool } from "@/api/mcp.ts";
import { Choice } from "@/components/Choice.tsx";
import { TextArea } from "@/components/TextArea.tsx";
import { isAllowed, type ToolRule, withTool } from "@/lib/mcpDraft.ts";
import type { ServerDraft } from "./useServerDraft.ts";

const RULES: readonly (readonly [ToolRule, string])[] = [
  ["all", "All"],
  ["except", "All but some"],
  ["only", "Only some"],
];
const TEXTS: Readonly<Record<ToolRule, string>> = {
  all: "Whatever the server offers, also what it adds one day.",
  except: "Those named here are left out. What the server adds one day is offered.",
  only: "Those named here and no others, whatever the server adds one day.",
};
const namesIn = (text: string): readonly string[] => [...new Set(text.split(/[\n,]/).map((name) => name.trim()).filter(Boolean))];

interface ToolFieldsProps {
  draft: ServerDraft;
  /** What the server offers; absent while nobody has asked it. */
  offered: readonly McpTool[] | undefined;
}

/** Which tools of a server chats may use: one of two lists, or none. */
export function ToolFields({ draft, offered }: ToolFieldsProps) {
  const { fields, set, problems } = draft;
  const names = fields.rule === "only" ? fields.allowed : fields.denied;
  return (
    <div className="space-y-4">
      <Choice label="Tools that chats may use" value={fields.rule} options={RULES} onChange={(rule) => set({ rule })} />
      <p className="text-sm text-muted">{TEXTS[fields.rule]}</p>
      {fields.rule === "all" ? null : (
        <Names
          key={fields.rule}
          label={fields.rule === "only" ? "Tools to offer" : "Tools to leave out"}
          names={names}
          problem={problems.rule}
          onChange={(next) => set(fields.rule === "only" ? { allowed: next } : { denied: next })}
        />
      )}
      {offered && offered.length > 0 ? <Offered draft={draft} tools={offered} /> : null}
    </div>
  );
}

/** One name a line. What was typed stands as it is until names change elsewhere. */
function Names({ label, names, problem, onChange }: { label: string; names: readonly string[]; problem: string | undefined; onChange: (names: readonly string[]) => void }) {
  const [typed, setTyped] = useState(names.join("\n"));
  const text = namesIn(typed).join() === names.join() ? typed : names.join("\n");
  return (
    <TextArea
      label={label}
      rows={4}
      value={text}
      problem={problem}
      hint="One name a line, as the server gives it."
      onChange={(event) => {
        setTyped(event.target.value);
        onChange(namesIn(event.target.value));
      }}
    />
  );
}

function Offered({ draft: { fields, set }, tools }: { draft: ServerDraft; tools: readonly McpTool[] }) {
  const allowed = tools.filter(({ name }) => isAllowed(fields, name));
  const tokens = allowed.reduce((sum, tool) => sum + tool.estimated_tokens, 0);
  return (
    <div>
      <p className="mb-1.5 text-sm font-medium">
        Offered by the server{" "}
        <span className="font-normal text-faint">
          {allowed.length} of {tools.length} for chats · about {tokens.toLocaleString("en-US")} tokens of every prompt
        </span>
      </p>
      <ul aria-label="Offered by the server" className="max-h-96 divide-y divide-line overflow-y-auto rounded-xl border border-line bg-raised">
        {tools.map((tool) => (
          <li key={tool.offered_name}>
            <label className="flex cursor-pointer items-start gap-3 px-4 py-2.5 text-sm hover:bg-hover touch:min-h-11">
              <input type="checkbox" aria-label={tool.name} checked={isAllowed(fields, tool.name)} onChange={(event) => set(withTool(fields, tool.name, event.target.checked))} className="mt-0.5 size-4 shrink-0 accent-accent" />
              <span className="min-w-0 flex-1">
                <span className="flex flex-wrap items-baseline justify-between gap-x-3">
                  <code className="min-w-0 font-mono text-[13px] wrap-anywhere">{tool.name}</code>
                  <span className="text-xs text-faint tabular-nums">{tool.estimated_tokens.toLocaleString("en-US")} tokens</span>
                </span>
                {tool.description ? <span className="line-clamp-2 text-xs text-muted wrap-anywhere">{tool.description}</span> : null}
              </span>
            </label>
          </li>
        ))}
      </ul>
    </div>
  );
}

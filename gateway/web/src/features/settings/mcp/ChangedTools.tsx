import type { UseQueryResult } from "@tanstack/react-query";
import { acceptMcpTools, type McpServer, type McpTool, type McpTools } from "@/api/mcp.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { pretty } from "@/lib/open.ts";
import { LIST, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";

/** Tools that are no longer what an administrator has seen: not offered, until somebody looks at what became of them. */
export function ChangedTools({ server, tools }: { server: McpServer; tools: UseQueryResult<McpTools> }) {
  const { busy, run } = useChange(keys.mcpServers);
  const changed = tools.data?.tools.filter((tool) => tool.changed) ?? [];
  if (changed.length === 0) return null;
  const accept = async (accepted: readonly McpTool[]) => {
    const done = await run(() => acceptMcpTools(server.id, accepted.map(({ name, digest }) => ({ name, digest }))));
    if (done) toast(accepted.length === 1 ? `${accepted[0]?.name ?? "It"} is offered again` : "They are offered again");
    await tools.refetch();
  };
  return (
    <Section title="Changed tools">
      <div className="mb-3">
        <Notice tone="warn" title={changed.length === 1 ? "A tool is no longer what it was" : `${String(changed.length)} tools are no longer what they were`}>
          Chats are not offered them. A description is an instruction to the model: read what became of it before you accept.
        </Notice>
      </div>
      <ul aria-label="Changed tools" className={LIST}>
        {changed.map((tool) => (
          <li key={tool.name} className="space-y-2 px-4 py-3 text-sm">
            <p className="flex flex-wrap items-center justify-between gap-3">
              <code className="min-w-0 font-mono text-[13px] wrap-anywhere">{tool.name}</code>
              <Button busy={busy} aria-label={`Accept ${tool.name}`} onClick={() => void accept([tool])}>
                Accept
              </Button>
            </p>
            <Version name="Before" description={tool.accepted?.description ?? ""} schema={tool.accepted?.input_schema} look="bg-del" />
            <Version name="Now" description={tool.description} schema={tool.input_schema} look="bg-add" />
          </li>
        ))}
      </ul>
      {changed.length > 1 ? (
        <Button busy={busy} className="mt-3" onClick={() => void accept(changed)}>
          Accept all
        </Button>
      ) : null}
    </Section>
  );
}

function Version({ name, description, schema, look }: { name: string; description: string; schema: unknown; look: string }) {
  return (
    <div className={`rounded-md px-3 py-2 ${look}`}>
      <p className="text-xs text-muted">{name}</p>
      <p className="wrap-anywhere whitespace-pre-wrap">{description || "No description"}</p>
      <details>
        <summary className="cursor-pointer text-xs leading-6 text-muted touch:leading-[44px]">What it takes</summary>
        <pre className="overflow-x-auto font-mono text-xs">{pretty(schema)}</pre>
      </details>
    </div>
  );
}

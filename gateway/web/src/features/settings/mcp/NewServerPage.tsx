import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { createMcpServer, type McpServer } from "@/api/mcp.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { keys } from "@/data/keys.ts";
import { useIsAdministrator } from "@/data/queries.ts";
import { newServerOf } from "@/lib/mcpDraft.ts";
import { BackLink } from "../BackLink.tsx";
import { Detail } from "../Detail.tsx";
import { ServerForm } from "./ServerForm.tsx";
import { useServerDraft } from "./useServerDraft.ts";

/** A server is added, and then tried on its own page. */
export function NewServerPage() {
  const isAdministrator = useIsAdministrator();
  const client = useQueryClient();
  const navigate = useNavigate();
  const draft = useServerDraft(undefined);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  if (isAdministrator === false) return <Notice tone="info" title="Only administrators add MCP servers." />;
  const add = async () => {
    setBusy(true);
    setProblem("");
    try {
      const server = await createMcpServer(newServerOf(draft.fields));
      client.setQueryData<McpServer[] | null>(keys.mcpServers, (all) => all && [...all.filter(({ id }) => id !== server.id), server]);
      void client.invalidateQueries({ queryKey: keys.mcpServers });
      await navigate({ to: "/settings/mcp/$serverId", params: { serverId: server.id } });
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Detail back={<BackLink to="/settings/mcp" text="MCP servers" />} title="New MCP server" text="It is tried as soon as it is added.">
      <ServerForm server={undefined} draft={draft} onSubmit={() => draft.isSound && !busy && void add()}>
        {problem ? (
          <div className="mb-4">
            <Notice tone="danger" title="Not added">
              {problem}
            </Notice>
          </div>
        ) : null}
        <Button type="submit" look="primary" busy={busy} disabled={!draft.isSound} className="mb-8">
          Add server
        </Button>
      </ServerForm>
    </Detail>
  );
}

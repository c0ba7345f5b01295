import { useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useEffect } from "react";
import type { McpServer, McpTools } from "@/api/mcp.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { keys } from "@/data/keys.ts";
import { lacksAccount } from "@/lib/mcp.ts";
import { LIST, Section } from "../Section.tsx";
import { AccountButton } from "./AccountButton.tsx";
import { ServerHealth } from "./ServerState.tsx";

interface ServerTestProps {
  server: McpServer;
  tools: UseQueryResult<McpTools>;
}

/** How a server does, and asking it now what it offers. */
export function ServerTest({ server, tools }: ServerTestProps) {
  const client = useQueryClient();
  const { data, error, isFetching, refetch } = tools;
  useEffect(() => {
    // What was just learnt stands in the list too.
    if (data) void client.invalidateQueries({ queryKey: keys.mcpServers });
  }, [client, data]);
  const shown = data ? { ...server, health: data.health } : server;
  return (
    <Section title="Connection" text="As you, with the settings that are saved. Nothing is called.">
      <div className={`${LIST} mb-4 px-4 py-3 text-sm`}>
        {isFetching ? (
          <p role="status" className="flex items-center gap-2 text-muted">
            <Spinner /> Asking {server.display_name} what it offers…
          </p>
        ) : (
          <ServerHealth server={shown} className="text-muted" />
        )}
      </div>
      {error && !isFetching ? (
        <div className="mb-4">
          <Notice tone="danger" title={describe(error)} />
        </div>
      ) : null}
      {lacksAccount(server) && server.enabled ? <p className="mb-3 text-sm text-muted">{server.reconnect_reason || "It answers you once your account is connected."}</p> : null}
      <div className="flex flex-wrap gap-2">
        <Button disabled={isFetching} onClick={() => void refetch()}>
          {data || error ? "Test again" : "Test now"}
        </Button>
        <AccountButton server={server} />
      </div>
    </Section>
  );
}

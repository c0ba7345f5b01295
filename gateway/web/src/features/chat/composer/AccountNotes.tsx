import { Unplug } from "lucide-react";
import { Button } from "@/components/Button.tsx";
import { connectAccount, useAccountNews, useUsableServers } from "@/data/mcp.ts";
import { unconnected } from "@/lib/mcpChoice.ts";
import type { ServerChoice } from "./useServerChoice.ts";

/** Servers the chat would use if the user had connected an account, each with the way to do so. */
export function AccountNotes({ choice }: { choice: ServerChoice }) {
  const servers = useUsableServers();
  useAccountNews();
  const missing = unconnected(servers, choice.chosen);
  if (missing.length === 0) return null;
  return (
    <ul aria-label="Accounts to connect" className="mx-2 mb-1.5 divide-y divide-line rounded-md border border-warn-line bg-warn-soft text-sm">
      {missing.map((server) => (
        <li key={server.id} className="flex items-center gap-2.5 py-1 pr-1 pl-3">
          <Unplug size={14} className="shrink-0 text-warn" aria-hidden />
          <span className="min-w-0 flex-1 py-1 text-muted wrap-anywhere">{server.display_name} {server.reconnect_reason ? "does not know you any more." : "needs an account of yours."}</span>
          <Button look="quiet" aria-label={`Connect your account at ${server.display_name}`} onClick={() => connectAccount(server)}>
            Connect
          </Button>
        </li>
      ))}
    </ul>
  );
}

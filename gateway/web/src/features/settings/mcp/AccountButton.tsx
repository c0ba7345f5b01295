import { Link2, Unlink } from "lucide-react";
import { disconnectMcpServer, type McpServer } from "@/api/mcp.ts";
import { Button } from "@/components/Button.tsx";
import { toast } from "@/components/toasts.ts";
import { connectAccount } from "@/data/mcp.ts";
import { keys } from "@/data/keys.ts";
import { useChange } from "../useChange.ts";

/** Connects the user's account at a server, or takes it away again; nothing for servers that ask for none. */
export function AccountButton({ server }: { server: McpServer }) {
  const { busy, run } = useChange(keys.mcpServers, keys.mcpTools(server.id));
  if (server.auth_type !== "oauth2" || !server.enabled) return null;
  const disconnect = async () => {
    if (await run(() => disconnectMcpServer(server.id))) toast(`Your account at ${server.display_name} is disconnected`);
  };
  if (server.auth_connected) {
    return (
      <Button busy={busy} aria-label={`Disconnect your account at ${server.display_name}`} onClick={() => void disconnect()}>
        <Unlink size={14} aria-hidden /> Disconnect
      </Button>
    );
  }
  return (
    <Button look="primary" aria-label={`Connect your account at ${server.display_name}`} onClick={() => connectAccount(server)}>
      <Link2 size={14} aria-hidden /> Connect
    </Button>
  );
}

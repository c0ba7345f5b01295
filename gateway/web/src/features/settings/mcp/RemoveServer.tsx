import { deleteMcpServer, type McpServer } from "@/api/mcp.ts";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { Confirm } from "../Confirm.tsx";
import { useChange } from "../useChange.ts";

interface RemoveServerProps {
  server: McpServer;
  onDone: () => void;
  onRemoved?: () => void;
}

/** Asks once more, and says what goes with the server. */
export function RemoveServer({ server, onDone, onRemoved = onDone }: RemoveServerProps) {
  const { busy, run } = useChange(keys.mcpServers);
  const remove = async () => {
    if (!(await run(() => deleteMcpServer(server.id)))) return;
    onRemoved();
    toast(`${server.display_name} is removed`);
  };
  return (
    <Confirm
      title={`Remove ${server.display_name}?`}
      text="Its secrets and the accounts all users have connected go with it. Chats keep what it answered, and go on without it."
      action="Remove it"
      busy={busy}
      onConfirm={() => void remove()}
      onClose={onDone}
    />
  );
}

import { deleteMcpServer, type McpServer } from "@/api/mcp.ts";
import { Button } from "@/components/Button.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { useChange } from "../useChange.ts";

interface RemoveServerProps {
  server: McpServer;
  onDone: () => void;
  onRemoved?: () => void;
}

/** What a dialog says that asks once more. */
export function RemoveServer({ server, onDone, onRemoved = onDone }: RemoveServerProps) {
  const { busy, run } = useChange(keys.mcpServers);
  const remove = async () => {
    if (!(await run(() => deleteMcpServer(server.id)))) return;
    onRemoved();
    toast(`${server.display_name} is removed`);
  };
  return (
    <div className="p-5">
      <h2 className="mb-4 font-semibold">Remove {server.display_name}?</h2>
      <p className="mb-4 text-sm text-muted">Its secrets and the accounts all users have connected go with it. Chats keep what it answered, and go on without it.</p>
      <div className="flex flex-wrap gap-2">
        <Button look="danger" busy={busy} onClick={() => void remove()}>
          Remove it
        </Button>
        <Button look="quiet" onClick={onDone}>
          Keep it
        </Button>
      </div>
    </div>
  );
}

import { CornerDownRight, Trash2, Zap } from "lucide-react";
import { deleteQueued, promoteQueued } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import type { QueuedMessage } from "@/api/types.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { toast } from "@/components/toasts.ts";

interface QueueProps {
  chatId: string;
  queue: readonly QueuedMessage[];
}

/** Messages that wait for the turn to end, in the order they will be sent. */
export function Queue({ chatId, queue }: QueueProps) {
  if (queue.length === 0) return null;
  return (
    <section aria-label="Waiting messages" className="mx-2 max-h-44 overflow-y-auto rounded-t-xl border border-b-0 border-line bg-sunken text-sm">
      <h2 className="px-3.5 pt-2 text-xs text-faint">Sent when the agent is done</h2>
      <ol className="px-1.5 pb-1">
        {queue.map((message) => (
          <li key={message.id} className="group flex items-center gap-2 rounded-md pl-2 hover:bg-hover">
            <CornerDownRight size={14} className="shrink-0 text-faint" aria-hidden />
            <span className="min-w-0 flex-1 truncate py-1.5">{textOf(message)}</span>
            <IconButton size="sm" tipSide="left" label="Send now: interrupts the agent" onClick={() => run(promoteQueued(chatId, message.id))}>
              <Zap size={14} />
            </IconButton>
            <IconButton size="sm" tipSide="left" label="Remove from the queue" onClick={() => run(deleteQueued(chatId, message.id))}>
              <Trash2 size={14} />
            </IconButton>
          </li>
        ))}
      </ol>
    </section>
  );
}

function run(action: Promise<void>): void {
  action.catch((error: unknown) => toast(describe(error), { tone: "danger" }));
}

function textOf(message: QueuedMessage): string {
  const parts = message.content ?? [];
  const text = parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join(" ");
  return text || `${String(parts.length)} attachment${parts.length === 1 ? "" : "s"}`;
}

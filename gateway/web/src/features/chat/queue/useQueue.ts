import { useState } from "react";
import { deleteQueued, moveQueued, promoteQueued } from "@/api/chats.ts";
import { describe, isNotServed } from "@/api/problem.ts";
import type { QueuedMessage } from "@/api/types.ts";
import { toast } from "@/components/toasts.ts";
import { moved } from "@/lib/order.ts";
import { inOrder } from "./order.ts";

export interface QueueActions {
  items: readonly QueuedMessage[];
  /** Asked to be sent at once, and not taken out of the queue yet. */
  isPromoting: (id: number) => boolean;
  move: (id: number, to: number) => void;
  remove: (id: number) => void;
  promote: (id: number) => void;
}

/** The queue as the reader wants it, until the server has confirmed or refused. */
export function useQueue(chatId: string, queue: readonly QueuedMessage[]): QueueActions {
  const [wished, setWished] = useState<{ from: readonly QueuedMessage[]; order: readonly number[] } | null>(null);
  const [leaving, setLeaving] = useState<ReadonlyMap<number, "removed" | "promoted">>(new Map());
  // Whatever the server says next is the truth again.
  const order = wished !== null && sameOrder(wished.from, queue) ? wished.order : null;
  const items = inOrder(queue.filter((message) => leaving.get(message.id) !== "removed"), order);

  const leave = (id: number, how: "removed" | "promoted", action: Promise<unknown>) => {
    setLeaving((all) => new Map(all).set(id, how));
    action.catch((error: unknown) => {
      setLeaving((all) => new Map([...all].filter(([other]) => other !== id)));
      toast(describe(error), { tone: "danger" });
    });
  };
  const move = (id: number, to: number) => {
    const from = items.findIndex((message) => message.id === id);
    const next = moved(items, from, to).map((message) => message.id);
    const position = next.indexOf(id);
    if (from < 0 || position === from) return;
    setWished({ from: queue, order: next });
    moveQueued(chatId, id, position).catch((error: unknown) => {
      setWished(null);
      toast(isNotServed(error) ? "This server cannot sort waiting messages." : describe(error), { tone: "danger" });
    });
  };
  return {
    items,
    isPromoting: (id) => leaving.get(id) === "promoted",
    move,
    remove: (id) => leave(id, "removed", deleteQueued(chatId, id)),
    promote: (id) => leave(id, "promoted", promoteQueued(chatId, id)),
  };
}

function sameOrder(a: readonly QueuedMessage[], b: readonly QueuedMessage[]): boolean {
  return a.length === b.length && a.every((message, index) => message.id === b[index]?.id);
}

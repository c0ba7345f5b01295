import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { PlanMode } from "@/api/chats.ts";
import type { Chat } from "@/api/types.ts";
import { keys } from "@/data/keys.ts";

/** Whether the agent plans or works. */
export interface PlanChoice {
  isOn: boolean;
  /** What has to be sent along; absent while nothing has to. */
  sent: PlanMode | undefined;
  toggle: () => void;
}

/** The mode of a chat that is there. A change goes along with the next message; `settle` tells which one has. */
export function usePlanChoice(chat: Chat | undefined): PlanChoice & { settle: (sent: PlanMode | undefined) => void } {
  const client = useQueryClient();
  const [changed, setChanged] = useState<PlanMode | null>(null);
  const stored: PlanMode = chat?.plan_mode === "plan" ? "plan" : "";
  const mode = changed ?? stored;
  return {
    isOn: mode === "plan",
    sent: changed ?? undefined,
    toggle: () => {
      const wished: PlanMode = mode === "plan" ? "" : "plan";
      setChanged(wished === stored ? null : wished);
    },
    settle: (sent) => {
      if (sent === undefined || !chat) return;
      const withMode = (one: Chat): Chat => (one.id === chat.id ? { ...one, plan_mode: sent } : one);
      client.setQueryData<Chat[]>(keys.chats, (all) => all?.map((one) => ({ ...withMode(one), children: one.children.map(withMode) })));
      client.setQueryData<Chat>(keys.chat(chat.id), (one) => one && withMode(one));
      setChanged(null);
    },
  };
}

/** The mode of a chat that is about to begin. */
export function useNewPlanChoice(): PlanChoice {
  const [isOn, setOn] = useState(false);
  return { isOn, sent: isOn ? "plan" : undefined, toggle: () => setOn(!isOn) };
}

import { useState } from "react";
import { describe } from "@/api/problem.ts";
import type { ApprovalMode, Chat } from "@/api/types.ts";
import { toast } from "@/components/toasts.ts";
import { useChatActions } from "@/data/chatActions.ts";
import { usePrefs } from "@/data/prefs.ts";

/** Before which calls the reader is asked. */
export interface ApprovalChoice {
  mode: ApprovalMode;
  /** What has to be sent with a new chat; absent where the operator's least is meant. */
  sent: ApprovalMode | undefined;
  choose: (mode: ApprovalMode) => void;
}

/** Of a chat that is there: a change holds at once. */
export function useApprovalChoice(chat: Chat | undefined): ApprovalChoice {
  const { setApprovalMode } = useChatActions();
  const [asked, setAsked] = useState<ApprovalMode | null>(null);
  const stored = chat?.approval_mode ?? "never";
  return {
    mode: asked ?? stored,
    sent: undefined,
    choose: (mode) => {
      if (!chat || mode === stored || asked !== null) return;
      setAsked(mode);
      setApprovalMode(chat, mode)
        .catch((error: unknown) => void toast(`Not changed. ${describe(error)}`, { tone: "danger" }))
        .finally(() => setAsked(null));
    },
  };
}

/** Of a chat that is about to begin: what was chosen last for one. */
export function useNewApprovalChoice(): ApprovalChoice {
  const chosen = usePrefs((prefs) => prefs.approvalMode);
  const setPrefs = usePrefs((prefs) => prefs.set);
  const mode = chosen === "" ? "never" : chosen;
  return { mode, sent: mode === "never" ? undefined : mode, choose: (approvalMode) => setPrefs({ approvalMode }) };
}

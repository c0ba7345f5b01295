import { useMemo, useState } from "react";
import { editMessage } from "@/api/chats.ts";
import { returnToComposer } from "@/components/focus.ts";
import { toast } from "@/components/toasts.ts";
import type { ChatSession } from "@/stream/session.ts";
import type { ChatView } from "@/stream/view.ts";
import { droppedBy, droppedText } from "./edit/dropped.ts";
import type { Editing } from "./edit/editing.ts";

/** Which message of the chat is being edited, and what saving it does. */
export function useMessageEdit(session: ChatSession, view: ChatView, canEdit: boolean): Editing {
  const [wanted, setWanted] = useState<number | null>(null);
  // Another device may have removed it meanwhile.
  const original = wanted === null ? undefined : view.messages.find((message) => message.id === wanted);
  const messageId = original?.id ?? null;
  const modelId = original?.model_config_id;
  const consequence = messageId === null ? "" : droppedText(droppedBy(view, messageId));
  return useMemo<Editing>(
    () => ({
      messageId,
      consequence,
      ...(canEdit && { begin: setWanted }),
      cancel: () => {
        setWanted(null);
        returnToComposer();
      },
      save: async (id, content, chosenModel, key) => {
        const isOther = chosenModel !== "" && chosenModel !== modelId;
        const saved = await editMessage(session.chatId, id, { content, ...(isOther && { model_config_id: chosenModel }) }, key);
        session.replace(id, saved.message);
        for (const warning of saved.warnings ?? []) toast(warning);
      },
    }),
    [session, messageId, modelId, consequence, canEdit],
  );
}

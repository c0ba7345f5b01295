import { type ReactNode, useMemo, useState } from "react";
import { interruptChat, sendMessage } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { toast } from "@/components/toasts.ts";
import { useArchivedChats, useChats } from "@/data/queries.ts";
import { timeline } from "@/stream/timeline.ts";
import { isBusy } from "@/stream/view.ts";
import { Announcer } from "./Announcer.tsx";
import { ClockOffsetContext } from "./clockOffset.ts";
import { Composer } from "./composer/Composer.tsx";
import type { Outgoing } from "./composer/useComposer.ts";
import { ConnectionBadge } from "./ConnectionBadge.tsx";
import { Conversation } from "./Conversation.tsx";
import { toContent } from "./content.ts";
import { LoadFailure } from "./LoadFailure.tsx";
import { Queue } from "./Queue.tsx";
import { TitleBar } from "./TitleBar.tsx";
import { TurnStatus } from "./TurnStatus.tsx";
import { tryAgain } from "./tryAgain.ts";
import { useSession } from "./useSession.ts";

/** One chat: its conversation, its queue and its composer. */
export function ChatPage({ chatId, lead }: { chatId: string; lead: ReactNode }) {
  const [session, { view, connection, hasOlder, loadingOlder, failure, clockOffset }] = useSession(chatId);
  const chat = useChat(chatId);
  const [chosenModel, setChosenModel] = useState("");
  const [stopping, setStopping] = useState(false);
  const rows = useMemo(() => timeline(view), [view]);
  const prompts = useMemo(() => rows.flatMap((row) => (row.kind === "user" && row.text ? [row.text] : [])).toReversed(), [rows]);
  const busy = isBusy(view.status) || view.status === "requires_action";
  const modelId = chosenModel || view.messages.findLast((m) => m.role === "user")?.model_config_id || chat?.last_model_config_id || "";

  if (stopping && !busy) setStopping(false);

  const send = async ({ text, fileIds, behavior }: Outgoing) => {
    const sent = await sendMessage(chatId, {
      content: toContent(text, fileIds),
      busy_behavior: behavior,
      ...(chosenModel && { model_config_id: chosenModel }),
    });
    if (sent.message) session.confirm(sent.message);
    for (const warning of sent.warnings ?? []) toast(warning);
  };
  const stop = () => {
    if (stopping) return;
    setStopping(true);
    interruptChat(chatId).catch((error: unknown) => {
      setStopping(false);
      toast(describe(error), { tone: "danger" });
    });
  };
  const retry = () => tryAgain(chatId, view).catch((error: unknown) => toast(describe(error), { tone: "danger" }));

  return (
    <ClockOffsetContext value={clockOffset}>
      <TitleBar chat={chat} lead={lead} badge={failure ? null : <ConnectionBadge connection={connection} onRetry={session.retryNow} />} />
      {failure ? (
        <LoadFailure failure={failure} onRetry={session.retryNow} />
      ) : (
        <>
          {hasOlder === null ? (
            <div className="flex-1" />
          ) : (
            <Conversation
              key={chatId}
              rows={rows}
              hasOlder={hasOlder}
              loadingOlder={loadingOlder}
              onOlder={() => void session.loadOlder()}
              status={<TurnStatus view={view} rows={rows} onRetry={retry} onStop={stop} />}
            />
          )}
          <div className="mx-auto w-full max-w-[808px] px-6 pb-4 max-sm:px-3 max-sm:pb-3">
            <Queue chatId={chatId} queue={view.queue} />
            <Composer
              key={chatId}
              draftKey={chatId}
              organizationId={chat?.organization_id}
              modelId={modelId}
              onModel={setChosenModel}
              isBusy={busy}
              stopping={stopping}
              prompts={prompts}
              onSend={send}
              onStop={stop}
              {...(chat?.archived && { disabledReason: "This chat is archived. Restore it to go on." })}
            />
          </div>
          <Announcer view={view} rows={rows} />
        </>
      )}
    </ClockOffsetContext>
  );
}

function useChat(chatId: string): Chat | undefined {
  const { data: chats } = useChats();
  const known = chats?.flatMap((chat) => [chat, ...chat.children]).find((chat) => chat.id === chatId);
  const { data: archived } = useArchivedChats(chats !== undefined && known === undefined);
  return known ?? archived?.find((chat) => chat.id === chatId);
}

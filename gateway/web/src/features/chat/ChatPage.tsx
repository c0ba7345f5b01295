import { type ReactNode, useMemo, useState } from "react";
import { clearContext, compactChat, type PlanMode, sendMessage } from "@/api/chats.ts";
import { ApiError, describe, isNotServed } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { toast } from "@/components/toasts.ts";
import { useChatActions } from "@/data/chatActions.ts";
import { useChat } from "@/data/queries.ts";
import { intentFor, settleIntent } from "@/lib/intents.ts";
import { timeline } from "@/stream/timeline.ts";
import { newestMessageId } from "@/stream/view.ts";
import { Announcer } from "./Announcer.tsx";
import { AnsweringContext, awaitedRow } from "./answering.ts";
import { ApprovalsProvider } from "./approvals/ApprovalsProvider.tsx";
import { ClockOffsetContext } from "./clockOffset.ts";
import type { CommandName } from "./composer/commands.ts";
import { Composer } from "./composer/Composer.tsx";
import type { Outgoing } from "./composer/useComposer.ts";
import { useApprovalChoice } from "./composer/useApprovalChoice.ts";
import { usePlanChoice } from "./composer/usePlanChoice.ts";
import { useServerChoice } from "./composer/useServerChoice.ts";
import { ConnectionBadge } from "./ConnectionBadge.tsx";
import { Conversation } from "./Conversation.tsx";
import { toContent } from "./content.ts";
import { hasArrived, markOf } from "./delivered.ts";
import { EditingContext } from "./edit/editing.ts";
import { isGone, LoadFailure } from "./LoadFailure.tsx";
import { PanelFrame } from "./panel/PanelFrame.tsx";
import { Queue } from "./queue/Queue.tsx";
import { TurnStatus } from "./status/TurnStatus.tsx";
import { TitleBar } from "./TitleBar.tsx";
import { tryAgain } from "./tryAgain.ts";
import { useMessageEdit } from "./useMessageEdit.ts";
import { useSession } from "./useSession.ts";
import { useTurn } from "./useTurn.ts";
import { isAsked } from "@/lib/speech.ts";

/** One chat: its conversation, its queue and its composer. */
export function ChatPage({ chatId, lead }: { chatId: string; lead: ReactNode }) {
  const [session, { view: streamed, connection, upstreamLostAt, hasOlder, loadingOlder, failure, clockOffset, newsAt }] = useSession(chatId);
  const chat = useChat(chatId);
  // What the list knows stands in until the chat itself has told: a turn that runs can be stopped from the first moment.
  const view = useMemo(() => (streamed.status === null && chat ? { ...streamed, status: chat.status } : streamed), [streamed, chat]);
  const { setArchived } = useChatActions();
  const [chosenModel, setChosenModel] = useState("");
  /** The newest message when a summary was asked for: until there is a newer one, the turn does nothing else. */
  const [compactedAt, setCompactedAt] = useState(-1);
  const [sentCount, setSentCount] = useState(0);
  const rows = useMemo(() => timeline(view), [view]);
  const prompts = useMemo(() => rows.flatMap((row) => (row.kind === "user" && row.text ? [row.text] : [])).toReversed(), [rows]);
  const turn = useTurn(chatId, view, chat);
  const servers = useServerChoice(chat);
  const plan = usePlanChoice(chat);
  const approval = useApprovalChoice(chat);
  const editing = useMessageEdit(session, view, chat?.archived === false);
  const modelId = chosenModel || view.messages.findLast(isAsked)?.model_config_id || chat?.last_model_config_id || "";
  const isLoaded = hasOlder !== null;

  const send = async ({ text, fileIds, behavior, key }: Outgoing, mode: PlanMode | undefined = plan.sent) => {
    const message = {
      content: toContent(text, fileIds),
      busy_behavior: behavior,
      ...(chosenModel && { model_config_id: chosenModel }),
      ...(servers.sent && { mcp_server_ids: servers.sent }),
      ...(mode !== undefined && { plan_mode: mode }),
    };
    const sent = await sendMessage(chatId, message, key);
    servers.settle();
    plan.settle(mode);
    if (sent.message) session.confirm(sent.message);
    setSentCount((count) => count + 1);
    for (const warning of sent.warnings ?? []) toast(warning);
  };
  const awaited = turn.isBusy || chat?.archived !== false ? null : (awaitedRow(rows)?.key ?? null);
  const say = async (text: string, mode?: PlanMode) => {
    const place = `${chatId}.answer`;
    const { key } = intentFor(place, { words: text, fingerprint: JSON.stringify([awaited, text, mode]) }, Date.now());
    await send({ text, fileIds: [], behavior: "queue", key }, mode);
    settleIntent(place);
  };
  const answering = { rowKey: awaited, say };
  const command = async (name: CommandName) => {
    try {
      await (name === "compact" ? compactChat(chatId) : clearContext(chatId));
      if (name === "compact") setCompactedAt(newestMessageId(view));
    } catch (error) {
      if (isNotServed(error)) throw new ApiError(404, "This server does not know the command.");
      throw error;
    }
  };
  const retry = () => tryAgain(chatId, view).catch((error: unknown) => void toast(describe(error), { tone: "danger" }));

  return (
    <ClockOffsetContext value={clockOffset}>
      <TitleBar chat={chat} fallback={failure ? (isGone(failure) ? "Chat not found" : "Chat not loaded") : ""} lead={lead} badge={failure ? null : <ConnectionBadge connection={connection} upstreamLostAt={upstreamLostAt} onRetry={session.retryNow} />} />
      {failure ? (
        <LoadFailure failure={failure} onRetry={session.retryNow} />
      ) : (
        <EditingContext value={editing}>
          <ApprovalsProvider key={chatId} chatId={chatId} chat={chat} pending={view.pendingCalls} onOld={session.refresh}>
            <PanelFrame chat={chat} rows={rows}>
              {isLoaded ? (
                <AnsweringContext value={answering}>
                  <Conversation
                    key={chatId}
                    rows={rows}
                    hasOlder={hasOlder}
                    loadingOlder={loadingOlder}
                    onOlder={() => void session.loadOlder()}
                    sent={sentCount}
                    fadeBehind={editing.messageId === null ? null : `m${String(editing.messageId)}`}
                    status={
                      <TurnStatus chatId={chatId} view={view} rows={rows} isCompacting={compactedAt === newestMessageId(view)} stopping={turn.stopping} end={turn.end} newsAt={newsAt} onRetry={retry} onStop={turn.stop} />
                    }
                  />
                </AnsweringContext>
              ) : (
                <div className="flex-1" />
              )}
              <div className="mx-auto w-full max-w-[808px] px-6 pb-4 max-sm:px-3 max-sm:pb-3">
                <Queue chatId={chatId} queue={view.queue} isHeld={view.status === "error"} />
                {chat?.archived ? (
                  <div className="flex flex-wrap items-center justify-between gap-3 rounded-xl border border-line bg-sunken py-2.5 pr-2.5 pl-4 text-sm text-muted">
                    This chat is archived. Restore it to go on.
                    <Button onClick={() => void setArchived(chat, false)}>Restore</Button>
                  </div>
                ) : (
                  <Composer
                    key={chatId}
                    draftKey={chatId}
                    organizationId={chat?.organization_id}
                    modelId={modelId}
                    pickedModelId={chosenModel}
                    onModel={setChosenModel}
                    servers={chat && servers}
                    plan={chat && plan}
                    approval={chat && approval}
                    isBusy={turn.isBusy}
                    stopping={turn.stopping}
                    prompts={prompts}
                    mark={isLoaded ? markOf(view) : undefined}
                    hasArrived={(text, mark) => hasArrived(view, text, mark)}
                    onSend={send}
                    onStop={turn.stop}
                    onCommand={command}
                  />
                )}
              </div>
            </PanelFrame>
          </ApprovalsProvider>
          <Announcer view={view} rows={rows} connection={connection} isCutOff={upstreamLostAt !== null} />
        </EditingContext>
      )}
    </ClockOffsetContext>
  );
}

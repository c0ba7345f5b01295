import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { createChat } from "@/api/chats.ts";
import { ApiError } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { COMPOSER_ID, focusById } from "@/components/focus.ts";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { mcpServersQuery } from "@/data/mcp.ts";
import { usePrefs } from "@/data/prefs.ts";
import { homeOf, organizationsQuery, useChats, useChoosableModels, useOrganization } from "@/data/queries.ts";
import { NEW_CHAT, writeDraft } from "@/lib/drafts.ts";
import { defaultChoice } from "@/lib/mcpChoice.ts";
import { Composer } from "./composer/Composer.tsx";
import type { Outgoing } from "./composer/useComposer.ts";
import { useNewApprovalChoice } from "./composer/useApprovalChoice.ts";
import { useNewPlanChoice } from "./composer/usePlanChoice.ts";
import { useNewServerChoice } from "./composer/useServerChoice.ts";
import { toContent } from "./content.ts";
import { Examples } from "./Examples.tsx";

const ConnectChoices = lazy(() => import("@/components/connect/ConnectChoices.tsx").then((m) => ({ default: m.ConnectChoices })));

/** Where a chat begins: the composer, and what to say for those who do not know yet. */
export function NewChatPage({ lead }: { lead: ReactNode }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const organization = useOrganization();
  const { models, isLoaded, isPending } = useChoosableModels();
  const { data: chats } = useChats();
  const modelId = usePrefs((prefs) => prefs.modelId);
  const setPrefs = usePrefs((prefs) => prefs.set);
  const servers = useNewServerChoice();
  const plan = useNewPlanChoice();
  const approval = useNewApprovalChoice();
  const [draftVersion, setDraftVersion] = useState(0);
  const chosen = models.find((model) => model.id === modelId);

  const send = async ({ text, fileIds, key }: Outgoing) => {
    // Whoever types fast may be done before the page is.
    const home = organization ?? homeOf(await client.ensureQueryData(organizationsQuery));
    if (!home) throw new ApiError(403, "You belong to no organization, so there is no place for a chat.");
    const serverIds = servers.sent ?? defaultChoice((await client.ensureQueryData(mcpServersQuery).catch(() => null)) ?? []);
    const body = { organization_id: home.id, content: toContent(text, fileIds), ...(chosen && { model_config_id: chosen.id }), ...(serverIds.length > 0 && { mcp_server_ids: serverIds }), ...(plan.sent && { plan_mode: plan.sent }), ...(approval.sent && { approval_mode: approval.sent }) };
    const chat = await createChat(body, key).catch((error: unknown) => {
      // It may have been started all the same: then it is in the list.
      if (error instanceof ApiError && error.mayHaveHappened) void client.invalidateQueries({ queryKey: keys.chats });
      throw error;
    });
    client.setQueryData<Chat[]>(keys.chats, (all) => (all?.some((c) => c.id === chat.id) ? all : [{ ...chat, children: [] }, ...(all ?? [])]));
    for (const warning of chat.warnings ?? []) toast(warning);
    await navigate({ to: "/chats/$chatId", params: { chatId: chat.id } });
  };
  const tryExample = (text: string) => {
    writeDraft(NEW_CHAT, text);
    setDraftVersion(draftVersion + 1);
    setTimeout(() => focusById(COMPOSER_ID));
  };

  return (
    <>
      <header className="flex h-13 shrink-0 items-center gap-2 px-3">{lead}</header>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto max-w-[728px] px-6 pt-[clamp(24px,14dvh,160px)] pb-10 max-sm:px-4">
          {isPending ? null : isLoaded && models.length === 0 ? (
            <>
              <h1 className="text-[22px] font-semibold tracking-tight">First, a model</h1>
              <p className="mt-1.5 mb-6 text-muted">There is nobody to answer yet. Three ways to change that:</p>
              <Suspense>
                <ConnectChoices onDone={() => focusById(COMPOSER_ID)} />
              </Suspense>
            </>
          ) : (
            <>
              <h1 className="mb-5 text-[22px] font-semibold tracking-tight">What shall we do?</h1>
              <Composer
                key={draftVersion}
                draftKey={NEW_CHAT}
                organizationId={organization?.id}
                modelId={chosen?.id ?? ""}
                onModel={(id) => setPrefs({ modelId: id })}
                servers={servers}
                plan={plan}
                approval={approval}
                onSend={send}
              />
              <Examples isFirst={chats?.length === 0} onPick={tryExample} />
            </>
          )}
        </div>
      </div>
    </>
  );
}

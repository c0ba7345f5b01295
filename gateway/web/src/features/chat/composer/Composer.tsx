import { useEffect, useLayoutEffect, useRef } from "react";
import { describe } from "@/api/problem.ts";
import type { BusyBehavior } from "@/api/types.ts";
import { COMPOSER_ID, returnToComposer } from "@/components/focus.ts";
import { Notice } from "@/components/Notice.tsx";
import { classes } from "@/lib/classes.ts";
import type { Mark } from "@/lib/intents.ts";
import { WaitNote } from "../approvals/WaitNote.tsx";
import { AccountNotes } from "./AccountNotes.tsx";
import { AttachButton } from "./AttachButton.tsx";
import { AttachmentChips } from "./AttachmentChips.tsx";
import { Choices } from "./Choices.tsx";
import { COMMAND_LIST_ID, CommandList, optionId } from "./CommandList.tsx";
import { type CommandName, commandNamed } from "./commands.ts";
import { SendButtons } from "./SendButtons.tsx";
import { SpentUpText } from "./SpentUpText.tsx";
import type { ApprovalChoice } from "./useApprovalChoice.ts";
import { useAttachments } from "./useAttachments.ts";
import { useCommands } from "./useCommands.ts";
import { useDropping } from "./useDropping.ts";
import { type Outgoing, useComposer } from "./useComposer.ts";
import type { PlanChoice } from "./usePlanChoice.ts";
import type { ServerChoice } from "./useServerChoice.ts";

const MAX_HEIGHT_PX = 320;

export interface ComposerProps {
  /** Drafts are kept under this name. Give the component a key when it changes. */
  draftKey: string;
  organizationId: string | undefined;
  modelId: string;
  /** The model the reader has picked for the next message; empty when none was. */
  pickedModelId?: string;
  onModel: (id: string) => void;
  /** Absent while nobody knows which MCP servers the chat uses. */
  servers?: ServerChoice | undefined;
  /** Absent while nobody knows whether the chat plans. */
  plan?: PlanChoice | undefined;
  /** Absent while nobody knows before what the chat asks. */
  approval?: ApprovalChoice | undefined;
  isBusy?: boolean;
  stopping?: boolean;
  prompts?: readonly string[];
  disabledReason?: string;
  /** Where the chat stands; absent while nobody knows. */
  mark?: Mark | undefined;
  /** Whether a text whose confirmation got lost is in the chat by now. */
  hasArrived?: (text: string, mark: Mark) => boolean;
  onSend: (message: Outgoing) => Promise<void>;
  onStop?: () => void;
  /** Absent: no commands here. */
  onCommand?: (name: CommandName) => Promise<void>;
}

const never = () => false;

export function Composer(props: ComposerProps) {
  const { draftKey, organizationId, modelId, pickedModelId = modelId, onModel, servers, plan, approval, isBusy = false, stopping = false, prompts = [], disabledReason, mark, hasArrived = never, onSend, onStop = () => undefined, onCommand } = props;
  const attachments = useAttachments(organizationId, draftKey);
  const composer = useComposer({ draftKey, attachments, modelId: pickedModelId, serverIds: servers?.sent, planMode: plan?.sent, prompts, isBusy, mark, hasArrived, onSend, onStop });
  const commandProblem = isBusy ? "Only when the agent is done. Stop it, or wait." : null;
  const run = (name: CommandName) => {
    if (onCommand === undefined || commandProblem !== null) return;
    composer.change("");
    returnToComposer();
    onCommand(name).catch((error: unknown) => composer.setProblem({ tone: "danger", title: `/${name} was not done`, text: describe(error) }));
  };
  const submit = (behavior: BusyBehavior) => {
    const command = onCommand && commandNamed(composer.text);
    if (command) run(command.name);
    else void composer.send(behavior).then(returnToComposer);
  };
  const pickModel = (id: string) => {
    onModel(id);
    returnToComposer();
  };
  const menu = useCommands(composer.text, onCommand !== undefined && !composer.sending, run);
  const activeCommand = menu.items[menu.active];
  const dropping = useDropping(attachments.add);
  const hasText = composer.text.trim() !== "" || attachments.items.length > 0;
  const area = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    // On a touch screen focus would raise the keyboard over the conversation.
    if (window.matchMedia("(pointer: fine)").matches) area.current?.focus({ preventScroll: true });
  }, []);
  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${String(Math.min(element.scrollHeight, MAX_HEIGHT_PX))}px`;
  }, [composer.text]);

  return (
    <div {...dropping.handlers}>
      {composer.problem ? (
        <div className="mb-2">
          <Notice tone={composer.problem.tone} title={composer.problem.title}>
            {composer.problem.spentUp ? <SpentUpText spentUp={composer.problem.spentUp} /> : composer.problem.text}
          </Notice>
        </div>
      ) : null}
      <div
        className={classes(
          "relative rounded-xl border bg-raised transition-colors focus-within:border-accent",
          dropping.isOver ? "border-accent bg-accent-soft" : "border-line-strong/70",
        )}
      >
        <CommandList menu={menu} problem={commandProblem} onPick={run} />
        <AttachmentChips attachments={attachments} />
        <textarea
          id={COMPOSER_ID}
          ref={area}
          rows={1}
          value={composer.text}
          readOnly={composer.sending}
          disabled={disabledReason !== undefined}
          placeholder={disabledReason ?? (isBusy ? "Say what comes next…" : "Ask, or say what to do…")}
          aria-label="Message"
          onChange={(event) => composer.change(event.target.value)}
          aria-autocomplete={onCommand ? "list" : undefined}
          aria-controls={activeCommand ? COMMAND_LIST_ID : undefined}
          aria-activedescendant={activeCommand && optionId(activeCommand.name)}
          onKeyDown={(event) => composer.onKeyDown(event, menu, submit)}
          onPaste={dropping.onPaste}
          className="block max-h-80 w-full resize-none bg-transparent px-4 pt-3 pb-1 outline-none touch:min-h-11"
        />
        {servers ? <AccountNotes choice={servers} /> : null}
        <WaitNote hasText={hasText} isSending={!composer.canSend} onInterrupt={() => submit("interrupt")} />
        <div className="flex items-center gap-1 px-2 pb-2">
          <AttachButton onFiles={attachments.add} />
          <Choices modelId={modelId} onModel={pickModel} servers={servers} plan={plan} approval={approval} />
          <span className="flex-1" />
          <SendButtons
            isBusy={isBusy}
            stopping={stopping}
            sending={composer.sending}
            canSend={composer.canSend && disabledReason === undefined}
            hasText={hasText}
            onSend={submit}
            onStop={onStop}
          />
        </div>
      </div>
    </div>
  );
}

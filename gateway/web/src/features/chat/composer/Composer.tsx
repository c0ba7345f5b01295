import { Paperclip } from "lucide-react";
import { type ClipboardEvent, type DragEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { COMPOSER_ID } from "@/components/focus.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Notice } from "@/components/Notice.tsx";
import { classes } from "@/lib/classes.ts";
import { AttachmentChips } from "./AttachmentChips.tsx";
import { ModelPicker } from "./ModelPicker.tsx";
import { SendButtons } from "./SendButtons.tsx";
import { useAttachments } from "./useAttachments.ts";
import { type Outgoing, useComposer } from "./useComposer.ts";

const MAX_HEIGHT_PX = 320;

export interface ComposerProps {
  /** Drafts are kept under this name. Give the component a key when it changes. */
  draftKey: string;
  organizationId: string | undefined;
  modelId: string;
  onModel: (id: string) => void;
  isBusy?: boolean;
  stopping?: boolean;
  prompts?: readonly string[];
  disabledReason?: string;
  onSend: (message: Outgoing) => Promise<void>;
  onStop?: () => void;
}

export function Composer(props: ComposerProps) {
  const { draftKey, organizationId, modelId, onModel, isBusy = false, stopping = false, prompts = [], disabledReason, onSend, onStop = () => undefined } = props;
  const attachments = useAttachments(organizationId);
  const composer = useComposer({ draftKey, attachments, prompts, isBusy, onSend, onStop });
  const [dropping, setDropping] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);

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

  const takeFiles = (event: ClipboardEvent | DragEvent, files: FileList) => {
    if (files.length === 0) return;
    event.preventDefault();
    attachments.add([...files]);
  };

  return (
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setDropping(event.dataTransfer.types.includes("Files"));
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={(event) => {
        setDropping(false);
        takeFiles(event, event.dataTransfer.files);
      }}
    >
      {composer.problem ? (
        <div className="mb-2">
          <Notice tone="danger" title="Not sent. Your text is still here.">
            {composer.problem}
          </Notice>
        </div>
      ) : null}
      <div
        className={classes(
          "rounded-xl border bg-raised transition-colors focus-within:border-accent",
          dropping ? "border-accent bg-accent-soft" : "border-line-strong/70",
        )}
      >
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
          onKeyDown={composer.onKeyDown}
          onPaste={(event) => takeFiles(event, event.clipboardData.files)}
          className="block max-h-80 w-full resize-none bg-transparent px-4 pt-3 pb-1 outline-none"
        />
        <div className="flex items-center gap-1 px-2 pb-2">
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            aria-label="Choose files"
            accept="image/png,image/jpeg,image/gif,image/webp,application/pdf,application/json,text/plain,text/markdown,text/csv,.md,.csv,.json,.txt,.log"
            onChange={(event) => {
              attachments.add([...(event.target.files ?? [])]);
              event.target.value = "";
            }}
          />
          <IconButton label="Attach files" tipSide="top" onClick={() => picker.current?.click()}>
            <Paperclip size={16} />
          </IconButton>
          <ModelPicker modelId={modelId} onChange={onModel} />
          <span className="flex-1" />
          <SendButtons
            isBusy={isBusy}
            stopping={stopping}
            sending={composer.sending}
            canSend={composer.canSend && disabledReason === undefined}
            hasText={composer.text.trim() !== "" || attachments.items.length > 0}
            onSend={(behavior) => void composer.send(behavior)}
            onStop={onStop}
          />
        </div>
      </div>
    </div>
  );
}

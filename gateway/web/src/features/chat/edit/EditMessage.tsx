import { Paperclip, TriangleAlert, X } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { GrowingText } from "@/components/GrowingText.tsx";
import { readDraft, writeDraft } from "@/lib/drafts.ts";
import { intentFor, settleIntent } from "@/lib/intents.ts";
import type { UserRow } from "@/stream/timeline.ts";
import { ModelPicker } from "../composer/ModelPicker.tsx";
import { reworded } from "../content.ts";
import { useEditing } from "./editing.ts";

const MAX_HEIGHT_PX = 360;

/** A message that was sent, given other words, files or another model. Says what it takes away before it does. */
export default function EditMessage({ row }: { row: UserRow }) {
  const { cancel, consequence, save } = useEditing();
  const draftKey = `edit.${String(row.messageId)}`;
  const [text, setText] = useState(() => readDraft(draftKey) || row.text);
  const [removed, setRemoved] = useState<ReadonlySet<string>>(new Set());
  const [modelId, setModelId] = useState(row.modelId);
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState("");
  const files = row.files.filter((file) => file.file_id !== undefined && !removed.has(file.file_id));
  const content = reworded([...row.files, ...row.references], text.trim(), (id) => !removed.has(id));

  const change = (value: string) => {
    setText(value);
    writeDraft(draftKey, value === row.text ? "" : value);
  };
  const end = () => {
    writeDraft(draftKey, "");
    cancel();
  };
  const submit = async () => {
    if (saving || content.length === 0) return;
    setSaving(true);
    setProblem("");
    const { key } = intentFor(draftKey, { words: text, fingerprint: JSON.stringify([content, modelId]) }, Date.now());
    try {
      await save(row.messageId, content, modelId, key);
      settleIntent(draftKey);
      end();
    } catch (error) {
      setProblem(describe(error));
      setSaving(false);
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") end();
    else if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) void submit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <section aria-label="Edit message" className="mb-4 rounded-xl border border-line-strong/70 bg-raised focus-within:border-accent">
      {files.length > 0 ? (
        <ul aria-label="Attachments" className="flex flex-wrap gap-2 px-3 pt-3">
          {files.map((file) => (
            <li key={file.file_id} className="flex max-w-64 items-center gap-2 rounded-md border border-line py-1 pr-1 pl-2 text-sm">
              <Paperclip size={14} className="shrink-0 text-muted" aria-hidden />
              <span className="min-w-0 truncate">{file.name || "file"}</span>
              <button type="button" aria-label={`Remove ${file.name || "file"}`} className="grid size-7 touch:size-11 shrink-0 place-items-center rounded-md text-muted hover:bg-hover" onClick={() => setRemoved(new Set(removed).add(file.file_id ?? ""))}>
                <X size={14} />
              </button>
            </li>
          ))}
        </ul>
      ) : null}
      <GrowingText label="New text" value={text} maxHeight={MAX_HEIGHT_PX} readOnly={saving} takesFocus onChange={change} onKeyDown={onKeyDown} className="px-4 pt-3 pb-2" />
      <p className="mx-4 flex items-start gap-2 text-xs text-warn">
        <TriangleAlert size={14} className="mt-px shrink-0" aria-hidden /> {consequence}
      </p>
      {problem ? (
        <p role="alert" className="mx-4 mt-1.5 text-xs text-danger">
          Not changed: {problem}
        </p>
      ) : null}
      <div className="flex flex-wrap items-center gap-1.5 p-2">
        <ModelPicker modelId={modelId} onChange={setModelId} />
        <div className="ml-auto flex gap-1.5">
          <Button look="quiet" className="h-8 touch:h-11" onClick={end}>
            Cancel
          </Button>
          <Button look="primary" className="h-8 touch:h-11" busy={saving} disabled={content.length === 0} title="Ctrl or ⌘ and Enter" onClick={() => void submit()}>
            <span>
              Replace<span className="max-sm:sr-only"> and answer again</span>
            </span>
          </Button>
        </div>
      </div>
    </section>
  );
}

import { type FormEvent, useState } from "react";
import type { Chat } from "@/api/types.ts";
import { useChatActions } from "@/data/chatActions.ts";
import { labelsOf, MAX_LABELS, readLabel } from "@/lib/labels.ts";
import { plainTitle } from "@/lib/title.ts";
import { Button } from "./Button.tsx";
import { Dialog } from "./Dialog.tsx";
import { Field } from "./Field.tsx";
import { LabelChip } from "./LabelChip.tsx";
import { Title } from "./Title.tsx";

/** The labels of a chat. Each change is saved at once. */
export default function LabelsDialog({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const { setLabels } = useChatActions();
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const labels = labelsOf(chat.labels);
  const add = (event: FormEvent) => {
    event.preventDefault();
    const label = readLabel(text);
    if ("problem" in label) return setProblem(label.problem);
    if (labels.length >= MAX_LABELS && !(label.key in chat.labels)) return setProblem(`A chat has at most ${String(MAX_LABELS)} labels.`);
    setText("");
    void setLabels(chat, { ...chat.labels, [label.key]: label.value });
  };
  const remove = (key: string) => void setLabels(chat, Object.fromEntries(Object.entries(chat.labels).filter(([other]) => other !== key)));
  return (
    <Dialog label={`Labels of ${plainTitle(chat.title)}`} onClose={onClose}>
      <div className="p-5">
        <h2 className="font-semibold">Labels</h2>
        <p className="mt-0.5 truncate text-sm text-muted">
          <Title text={chat.title} />
        </p>
        <ul className="mt-4 flex min-h-6 flex-wrap gap-1.5">
          {labels.map((label) => (
            <li key={label.key} className="max-w-full">
              <LabelChip label={label} onRemove={() => remove(label.key)} />
            </li>
          ))}
          {labels.length === 0 ? <li className="text-sm text-faint">None yet. Labels group chats; the search finds them.</li> : null}
        </ul>
        <form onSubmit={add} className="mt-4 flex items-start gap-2">
          <Field
            label="New label"
            placeholder="team: storage"
            value={text}
            problem={problem}
            onChange={(event) => {
              setText(event.target.value);
              setProblem(undefined);
            }}
            className="min-w-0 flex-1"
          />
          <Button type="submit" className="mt-[26px] h-10" disabled={text.trim() === ""}>
            Add
          </Button>
        </form>
        <div className="mt-5 flex justify-end">
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

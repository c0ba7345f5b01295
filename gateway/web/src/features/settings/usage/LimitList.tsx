import { Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { limitText } from "@/lib/money.ts";
import { LIST, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { OwnLimitForm } from "./OwnLimitForm.tsx";

/** Someone or something that can have a limit of its own. */
export interface Limited {
  id: string;
  name: string;
}

/** One that has. */
export interface OwnLimit extends Limited {
  micros: number | null;
  /** Below the name. */
  text?: string;
}

interface LimitListProps {
  title: string;
  text: string;
  /** What a row is about, such as "Person". */
  what: string;
  /** The title of the dialog that adds one. */
  addTitle: string;
  /** In place of rows. */
  empty: string;
  /** What is said when one is taken away. */
  removed: (name: string) => string;
  limits: readonly OwnLimit[];
  /** Those that may get one; `undefined` while nobody knows. */
  others: readonly Limited[] | undefined;
  /** Such as "month". */
  period: string;
  hint?: string | undefined;
  put: (id: string, micros: number) => Promise<unknown>;
  remove: (id: string) => Promise<unknown>;
}

/** Those for whom another limit holds than for everyone. */
export function LimitList({ title, text, what, addTitle, empty, removed, limits, others, period, hint, put, remove }: LimitListProps) {
  const { busy, run } = useChange(keys.usage);
  const [editing, setEditing] = useState<OwnLimit | "new" | null>(null);
  const close = () => setEditing(null);
  const takeAway = async ({ id, name, micros }: OwnLimit) => {
    if (!(await run(() => remove(id))) || micros === null) return;
    toast(removed(name), { action: { label: "Undo", run: () => void run(() => put(id, micros)) } });
  };
  const dialogTitle = editing === null || editing === "new" ? addTitle : `Limit of ${editing.name}`;
  return (
    <Section
      title={title}
      text={text}
      action={
        <Button onClick={() => setEditing("new")}>
          <Plus size={15} /> Add
        </Button>
      }
    >
      <ul aria-label={title} className={LIST}>
        {limits.map((limit) => (
          <li key={limit.id} className="flex items-center gap-1 py-2 pr-2 pl-4 text-sm">
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium">{limit.name}</span>
              {limit.text ? <span className="block truncate text-xs text-faint">{limit.text}</span> : null}
            </span>
            <span className="mr-2 shrink-0 tabular-nums">{limitText(limit.micros)}</span>
            <IconButton label={`Change the limit of ${limit.name}`} tipSide="left" disabled={busy} onClick={() => setEditing(limit)}>
              <Pencil size={15} />
            </IconButton>
            <IconButton label={`Remove the limit of ${limit.name}`} tipSide="left" disabled={busy} onClick={() => void takeAway(limit)}>
              <Trash2 size={15} />
            </IconButton>
          </li>
        ))}
        {limits.length === 0 ? <li className="px-4 py-4 text-sm text-muted">{empty}</li> : null}
      </ul>
      {editing ? (
        <Dialog label={dialogTitle} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{dialogTitle}</h2>
            <OwnLimitForm what={what} limit={editing === "new" ? null : editing} others={others} period={period} hint={hint} put={put} onDone={close} />
          </div>
        </Dialog>
      ) : null}
    </Section>
  );
}

import { Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { deleteUserLimit, putUserLimit, type UsageLimits, type UserLimit } from "@/api/usage.ts";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { limitText } from "@/lib/money.ts";
import { LIST, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";
import { UserLimitForm } from "./UserLimitForm.tsx";

const nameOf = (limit: UserLimit) => limit.name || limit.username;

/** People for whom another limit holds than for everyone. */
export function UserLimits({ limits }: { limits: UsageLimits }) {
  const { busy, run } = useChange(keys.usage);
  const [editing, setEditing] = useState<UserLimit | "new" | null>(null);
  const close = () => setEditing(null);
  const remove = async (limit: UserLimit) => {
    const micros = limit.spend_limit_micros ?? null;
    if (!(await run(() => deleteUserLimit(limit.user_id))) || micros === null) return;
    toast(`${nameOf(limit)} has the limit of everyone again`, { action: { label: "Undo", run: () => void run(() => putUserLimit(limit.user_id, micros)) } });
  };
  const title = editing === null || editing === "new" ? "A limit for one person" : `Limit of ${nameOf(editing)}`;
  return (
    <Section
      title="Exceptions"
      text={limits.spend_limit_micros === null ? "A limit of one's own goes before all others. While there is no limit for everyone, none of them holds." : "A limit of one's own goes before all others."}
      action={
        <Button onClick={() => setEditing("new")}>
          <Plus size={15} /> Add
        </Button>
      }
    >
      <ul aria-label="Exceptions" className={LIST}>
        {limits.overrides.map((limit) => (
          <li key={limit.user_id} className="flex items-center gap-1 py-2 pr-2 pl-4 text-sm">
            <span className="min-w-0 flex-1 truncate font-medium">{nameOf(limit)}</span>
            <span className="mr-2 shrink-0 tabular-nums">{limitText(limit.spend_limit_micros)}</span>
            <IconButton label={`Change the limit of ${nameOf(limit)}`} tipSide="left" disabled={busy} onClick={() => setEditing(limit)}>
              <Pencil size={15} />
            </IconButton>
            <IconButton label={`Remove the limit of ${nameOf(limit)}`} tipSide="left" disabled={busy} onClick={() => void remove(limit)}>
              <Trash2 size={15} />
            </IconButton>
          </li>
        ))}
        {limits.overrides.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None. The limit for everyone holds for everybody.</li> : null}
      </ul>
      {editing ? (
        <Dialog label={title} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{title}</h2>
            <UserLimitForm limits={limits} limit={editing === "new" ? null : editing} onDone={close} />
          </div>
        </Dialog>
      ) : null}
    </Section>
  );
}

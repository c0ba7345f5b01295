import { Ellipsis, KeyRound, Power, PowerOff, Shield, ShieldOff, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { User } from "@/api/types.ts";
import { activateUser, deleteUser, OWNER, setPasswordOf, setRoles, suspendUser } from "@/api/users.ts";
import { Badge } from "@/components/Badge.tsx";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { Field } from "@/components/Field.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu, type MenuEntry } from "@/components/Menu.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { MIN_PASSWORD } from "./passwords.ts";
import { useChange } from "./useChange.ts";

type Panel = "password" | "remove";

export function UserItem({ user, isMe }: { user: User; isMe: boolean }) {
  const { busy, run } = useChange(keys.users);
  const [panel, setPanel] = useState<Panel | null>(null);
  const close = () => setPanel(null);
  const name = user.name || user.username;
  const isAdministrator = user.roles.some((role) => role.name === OWNER);
  const isSuspended = user.status === "suspended";
  // Nobody locks themselves out.
  const entries: (MenuEntry | "separator")[] = [
    { label: "Set password…", icon: <KeyRound />, onSelect: () => setPanel("password") },
    isAdministrator
      ? { label: "No longer administrator", icon: <ShieldOff />, onSelect: () => void run(() => setRoles(user.id, [])) }
      : { label: "Make administrator", icon: <Shield />, onSelect: () => void run(() => setRoles(user.id, [OWNER])) },
    isSuspended
      ? { label: "Let in again", icon: <Power />, onSelect: () => void run(() => activateUser(user.id)) }
      : { label: "Suspend", hint: "signed out at once, keeps everything", icon: <PowerOff />, onSelect: () => void run(() => suspendUser(user.id)) },
    "separator",
    { label: "Remove…", icon: <Trash2 />, danger: true, onSelect: () => setPanel("remove") },
  ];
  const title = panel === "password" ? `Password of ${name}` : `Remove ${name}?`;
  return (
    <li className="flex items-center gap-3 py-2.5 pr-2 pl-4 touch:min-h-16">
      <div className="min-w-0 flex-1">
        <p className="flex items-center gap-2 text-sm font-medium">
          <span className="truncate">{name}</span>
          {isMe ? <Badge text="You" /> : null}
          {isAdministrator ? <Badge text="Administrator" /> : null}
          {isSuspended ? <Badge text="Suspended" /> : null}
        </p>
        <p className="truncate text-xs text-faint">{[user.username, user.email].filter(Boolean).join(" · ")}</p>
      </div>
      {isMe ? null : (
        <Menu
          trigger={
            <IconButton label={`Actions for ${name}`} tipSide="left" disabled={busy}>
              <Ellipsis size={16} />
            </IconButton>
          }
          entries={entries}
        />
      )}
      {panel ? (
        <Dialog label={title} onClose={close}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">{title}</h2>
            {panel === "password" ? <NewPassword user={user} onDone={close} /> : <Removal user={user} onDone={close} />}
          </div>
        </Dialog>
      ) : null}
    </li>
  );
}

interface PanelProps {
  user: User;
  onDone: () => void;
}

function NewPassword({ user, onDone }: PanelProps) {
  const { busy, run } = useChange();
  const [password, setPassword] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await run(() => setPasswordOf(user.id, password)))) return;
    toast("Password set");
    onDone();
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field label="New password" type="password" autoComplete="new-password" required minLength={MIN_PASSWORD} value={password} onChange={(event) => setPassword(event.target.value)} hint={`At least ${String(MIN_PASSWORD)} characters.`} />
      <Button type="submit" look="primary" busy={busy} disabled={password.length < MIN_PASSWORD}>
        Set password
      </Button>
    </form>
  );
}

function Removal({ user, onDone }: PanelProps) {
  const { busy, run } = useChange(keys.users);
  const remove = async () => {
    if (await run(() => deleteUser(user.id))) onDone();
  };
  return (
    <div className="space-y-4">
      <p className="text-sm text-muted">Sessions and tokens end at once. Suspending does the same and can be taken back.</p>
      <div className="flex gap-2">
        <Button look="danger" busy={busy} onClick={() => void remove()}>
          Remove {user.username}
        </Button>
        <Button look="quiet" onClick={onDone}>
          Keep
        </Button>
      </div>
    </div>
  );
}

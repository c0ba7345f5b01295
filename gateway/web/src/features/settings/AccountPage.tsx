import { type FormEvent, useState } from "react";
import { changePassword } from "@/api/account.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useMe } from "@/data/queries.ts";
import { Section } from "./Section.tsx";

export function AccountPage() {
  const { data: me } = useMe();
  return (
    <>
      <Section title="You">
        <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1.5 text-sm">
          <dt className="text-muted">User name</dt>
          <dd>{me?.username}</dd>
          <dt className="text-muted">E-mail</dt>
          <dd>{me?.email || "–"}</dd>
          <dt className="text-muted">Roles</dt>
          <dd>{me?.roles.map((role) => role.name).join(", ") || "member"}</dd>
        </dl>
      </Section>
      <Section title="Password">
        <PasswordForm username={me?.username ?? ""} />
      </Section>
    </>
  );
}

function PasswordForm({ username }: { username: string }) {
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<{ ok: boolean; text: string } | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      await changePassword(old, password);
      setOutcome({ ok: true, text: "Password changed" });
      setOld("");
      setPassword("");
    } catch (error) {
      setOutcome({ ok: false, text: describe(error) });
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="max-w-sm space-y-4">
      <input type="text" name="username" autoComplete="username" value={username} readOnly hidden />
      <Field label="Current password" type="password" autoComplete="current-password" value={old} onChange={(event) => setOld(event.target.value)} hint="Leave empty if none was set yet." />
      <Field label="New password" type="password" autoComplete="new-password" required minLength={8} value={password} onChange={(event) => setPassword(event.target.value)} hint="At least 8 characters." />
      {outcome ? <Notice tone={outcome.ok ? "ok" : "danger"} title={outcome.text} /> : null}
      <Button type="submit" look="primary" busy={busy} disabled={password.length < 8}>
        Change password
      </Button>
    </form>
  );
}

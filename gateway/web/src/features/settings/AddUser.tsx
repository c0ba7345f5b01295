import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, describe } from "@/api/problem.ts";
import { createUser, OWNER } from "@/api/users.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { keys } from "@/data/keys.ts";
import { MIN_PASSWORD } from "./passwords.ts";

const EMPTY = { username: "", email: "", name: "", password: "" };

export function AddUser({ onDone }: { onDone: () => void }) {
  const client = useQueryClient();
  const [user, setUser] = useState(EMPTY);
  const [isAdministrator, setAdministrator] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const violations = error instanceof ApiError ? error.violations : [];
  const field = (name: keyof typeof EMPTY) => ({
    value: user[name],
    onChange: (event: { target: { value: string } }) => setUser({ ...user, [name]: event.target.value }),
    problem: violations.find((violation) => violation.field === name)?.detail,
  });
  const isPlaced = violations.some((violation) => violation.field in EMPTY);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await createUser({ ...user, username: user.username.trim(), email: user.email.trim(), name: user.name.trim(), roles: isAdministrator ? [OWNER] : [] });
      await client.invalidateQueries({ queryKey: keys.users });
      onDone();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field label="User name" autoComplete="off" autoCapitalize="none" spellCheck={false} required {...field("username")} />
      <Field label="E-mail" type="email" autoComplete="off" required {...field("email")} />
      <Field label="Full name" autoComplete="off" {...field("name")} />
      <Field
        label="First password"
        type="password"
        autoComplete="new-password"
        required
        minLength={MIN_PASSWORD}
        hint={`At least ${String(MIN_PASSWORD)} characters. Hand it over; it can be changed under Account.`}
        {...field("password")}
      />
      <label className="flex items-center gap-2.5 text-sm touch:min-h-11">
        <input type="checkbox" className="size-4 accent-accent" checked={isAdministrator} onChange={(event) => setAdministrator(event.target.checked)} />
        Administrator: manages users, models and keys
      </label>
      {error !== null && !isPlaced ? <Notice tone="danger" title={describe(error)} /> : null}
      <Button type="submit" look="primary" busy={busy} disabled={user.username.trim() === "" || user.email.trim() === "" || user.password.length < MIN_PASSWORD}>
        Add
      </Button>
    </form>
  );
}

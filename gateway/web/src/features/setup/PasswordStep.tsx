import { type FormEvent, useState } from "react";
import { changePassword } from "@/api/account.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";

const MIN_LENGTH = 8;

export function PasswordStep({ onDone }: { onDone: () => void }) {
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const differs = again !== "" && again !== password;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await changePassword("", password);
      onDone();
    } catch (error) {
      setProblem(describe(error));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <input type="text" name="username" autoComplete="username" value="admin" readOnly hidden />
      <Field
        label="Password"
        type="password"
        autoComplete="new-password"
        minLength={MIN_LENGTH}
        required
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        hint={`At least ${String(MIN_LENGTH)} characters.`}
      />
      <Field
        label="Password again"
        type="password"
        autoComplete="new-password"
        required
        value={again}
        onChange={(event) => setAgain(event.target.value)}
        problem={differs ? "The two are not the same." : undefined}
      />
      {problem ? <Notice tone="danger" title={problem} /> : null}
      <div className="flex gap-2">
        <Button type="submit" look="primary" busy={busy} disabled={password.length < MIN_LENGTH || again !== password}>
          Set password
        </Button>
        <Button look="quiet" onClick={onDone}>
          Later
        </Button>
      </div>
    </form>
  );
}

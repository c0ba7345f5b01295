import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { login } from "@/api/account.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { FrontPage } from "@/components/FrontPage.tsx";
import { Notice } from "@/components/Notice.tsx";
import { setupQuery } from "@/data/queries.ts";

export function LoginPage() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const { data: setup } = useQuery(setupQuery);
  const [who, setWho] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await login(who, password);
      client.clear();
      await navigate({ to: "/" });
    } catch (error) {
      setProblem(describe(error));
      setBusy(false);
    }
  };

  return (
    <FrontPage title="Sign in to Tandem">
      <form onSubmit={(event) => void submit(event)} className="space-y-4">
        {setup?.needs_setup ? (
          <Notice tone="info" title="This Tandem is new">
            Open the sign-in link it printed in its terminal, or{" "}
            <Link to="/setup" className="text-accent underline underline-offset-2">
              enter the code
            </Link>
            .
          </Notice>
        ) : null}
        {/* oxlint-disable-next-line jsx-a11y/no-autofocus -- the one field this page is for */}
        <Field label="User name or e-mail" autoComplete="username" autoCapitalize="none" autoFocus required value={who} onChange={(e) => setWho(e.target.value)} />
        <Field label="Password" type="password" autoComplete="current-password" required value={password} onChange={(e) => setPassword(e.target.value)} />
        {problem ? <Notice tone="danger" title={problem} /> : null}
        <Button type="submit" look="primary" busy={busy} className="w-full">
          Sign in
        </Button>
      </form>
    </FrontPage>
  );
}

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { exchangeSetupCode } from "@/api/account.ts";
import { ApiError, describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { meQuery, setupQuery } from "@/data/queries.ts";

interface CodeStepProps {
  code: string;
  onDone: () => void;
  /** No code works any more: somebody has signed in. */
  onSpent: () => void;
}

/** Exchanges the one-time code for a session: by itself when it came with the link, else typed. */
export function CodeStep({ code, onDone, onSpent }: CodeStepProps) {
  const client = useQueryClient();
  const [typed, setTyped] = useState(code);
  const [busy, setBusy] = useState(code !== "");
  const [problem, setProblem] = useState<{ title: string; isRefused: boolean } | null>(null);
  const tried = useRef(false);

  const exchange = async (value: string) => {
    setBusy(true);
    setProblem(null);
    try {
      await exchangeSetupCode(value.trim());
      // The code is spent; it need not stay in the history.
      window.history.replaceState(null, "", "/setup");
      // A question asked before the code was taken would be answered "sign in first", and joined instead of asked again.
      await client.cancelQueries({ queryKey: meQuery.queryKey });
      await client.fetchQuery({ ...meQuery, staleTime: 0 });
      onDone();
    } catch (error) {
      const isRefused = error instanceof ApiError && [400, 401].includes(error.status);
      const isSpent = isRefused && (await client.fetchQuery({ ...setupQuery, staleTime: 0 }).then((setup) => !setup.needs_setup, () => false));
      if (isSpent) return onSpent();
      setProblem({ title: isRefused ? "This code is not valid any more" : describe(error), isRefused });
      setBusy(false);
    }
  };

  useEffect(() => {
    if (code === "" || tried.current) return;
    tried.current = true;
    void exchange(code);
    // oxlint-disable-next-line react/exhaustive-deps -- once, for the code the page was opened with
  }, [code]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void exchange(typed);
  };
  return (
    <form onSubmit={submit} className="space-y-4">
      <Field
        label="One-time code"
        autoComplete="one-time-code"
        spellCheck={false}
        required
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        hint="Tandem printed it, as part of a link, in the terminal where it was started."
      />
      {problem ? (
        <Notice tone="danger" title={problem.title}>
          {problem.isRefused ? (
            <>
              Until somebody has signed in, every start of <code className="font-mono text-ink">tandem serve</code> prints a new link, and only the newest works. Use that one, or restart Tandem.
            </>
          ) : null}
        </Notice>
      ) : null}
      <Button type="submit" look="primary" busy={busy} disabled={typed.trim() === ""}>
        Continue
      </Button>
    </form>
  );
}

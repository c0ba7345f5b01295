import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { exchangeSetupCode } from "@/api/account.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { meQuery } from "@/data/queries.ts";

/** Exchanges the one-time code for a session: by itself when it came with the link, else typed. */
export function CodeStep({ code, onDone }: { code: string; onDone: () => void }) {
  const client = useQueryClient();
  const [typed, setTyped] = useState(code);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
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
      setProblem(describe(error));
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
        <Notice tone="danger" title={problem}>
          A code works once. Restart Tandem to get a new one if nobody could sign in yet.
        </Notice>
      ) : null}
      <Button type="submit" look="primary" busy={busy} disabled={typed.trim() === ""}>
        Continue
      </Button>
    </form>
  );
}

import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { createProvider } from "@/api/models.ts";
import { ApiError, describe } from "@/api/problem.ts";
import { keys } from "@/data/keys.ts";
import { Button } from "../Button.tsx";
import { Notice } from "../Notice.tsx";
import { SelectField } from "../SelectField.tsx";
import { SIGN_INS } from "./presets.ts";

/** Services that know people by a sign-in of their own: nothing is stored here, programs bring it with each request. */
export function SignInForm({ onDone }: { onDone: () => void }) {
  const client = useQueryClient();
  const [chosen, setChosen] = useState<string>(SIGN_INS[0].name);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const service = SIGN_INS.find(({ name }) => name === chosen) ?? SIGN_INS[0];
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await createProvider({ type: service.type, name: service.name, display_name: service.title, enabled: true });
      await client.invalidateQueries({ queryKey: keys.providers });
      onDone();
    } catch (error) {
      // The server tells these services by their names, so there is one of each.
      setProblem(error instanceof ApiError && error.status === 409 ? `${service.title} is connected already.` : describe(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <SelectField
        label="Service"
        value={service.name}
        onChange={(event) => setChosen(event.target.value)}
        hint="Programs bring the sign-in of whoever uses them, and a token of Tandem. What they ask is metered and recorded here; chats cannot use it."
      >
        {SIGN_INS.map(({ name, title }) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </SelectField>
      {problem ? <Notice tone="danger" title={problem} /> : null}
      <Button type="submit" look="primary" busy={busy}>
        Connect
      </Button>
    </form>
  );
}

import { type FormEvent, useState } from "react";
import { type OwnKey, putOwnKey } from "@/api/ownKeys.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { providerName } from "@/lib/names.ts";
import { useChange } from "../useChange.ts";
import { keyProblem } from "./ownKeyText.ts";

/** Sets a key, in place of the one that is there. */
export function OwnKeyForm({ ownKey, onDone }: { ownKey: OwnKey; onDone: () => void }) {
  const { busy, run } = useChange(keys.ownKeys, keys.models);
  const [typed, setTyped] = useState("");
  const problem = keyProblem(typed);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await run(() => putOwnKey(ownKey.provider.id, typed.trim())))) return;
    toast(`${providerName(ownKey.provider)} answers with your key from now on`);
    onDone();
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field
        label="API key"
        type="password"
        autoComplete="off"
        spellCheck={false}
        required
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        problem={problem}
        hint={ownKey.has_user_api_key ? "It takes the place of the one that is stored." : "Stored encrypted, and never shown again."}
      />
      <Button type="submit" look="primary" busy={busy} disabled={typed.trim() === "" || problem !== undefined}>
        {ownKey.has_user_api_key ? "Replace key" : "Set key"}
      </Button>
    </form>
  );
}

import { type FormEvent, useState } from "react";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { keys } from "@/data/keys.ts";
import { MICROS, readMoney } from "@/lib/money.ts";
import { useChange } from "../useChange.ts";
import type { Limited, OwnLimit } from "./LimitList.tsx";

interface OwnLimitFormProps {
  what: string;
  /** `null`: for one that has none yet. */
  limit: OwnLimit | null;
  others: readonly Limited[] | undefined;
  period: string;
  hint: string | undefined;
  put: (id: string, micros: number) => Promise<unknown>;
  onDone: () => void;
}

/** Sets the limit of one. */
export function OwnLimitForm({ what, limit, others, period, hint, put, onDone }: OwnLimitFormProps) {
  const { busy, run } = useChange(keys.usage);
  const [chosen, setChosen] = useState(limit?.id ?? "");
  const [amount, setAmount] = useState(limit?.micros ? String(limit.micros / MICROS) : "");
  const id = chosen || (others?.[0]?.id ?? "");
  const micros = readMoney(amount);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (micros !== null && id !== "" && (await run(() => put(id, micros)))) onDone();
  };
  if (limit === null && others?.length === 0) return <Notice tone="info" title="All have a limit of their own already." />;
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      {limit === null ? (
        <SelectField label={what} value={id} onChange={(event) => setChosen(event.target.value)}>
          {others?.map((other) => (
            <option key={other.id} value={other.id}>
              {other.name}
            </option>
          ))}
        </SelectField>
      ) : null}
      <Field
        label={`US dollars in each ${period}`}
        inputMode="decimal"
        autoComplete="off"
        required
        value={amount}
        onChange={(event) => setAmount(event.target.value)}
        problem={amount.trim() !== "" && micros === null ? "An amount above zero, such as 20 or 2.50." : undefined}
        hint={hint}
      />
      <Button type="submit" look="primary" busy={busy} disabled={micros === null || id === ""}>
        Set limit
      </Button>
    </form>
  );
}

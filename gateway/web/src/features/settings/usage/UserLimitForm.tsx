import { type FormEvent, useState } from "react";
import { putUserLimit, type UsageLimits, type UserLimit } from "@/api/usage.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { keys } from "@/data/keys.ts";
import { useUsers } from "@/data/queries.ts";
import { MICROS, readMoney } from "@/lib/money.ts";
import { useChange } from "../useChange.ts";

interface UserLimitFormProps {
  limits: UsageLimits;
  /** `null`: for somebody who has none yet. */
  limit: UserLimit | null;
  onDone: () => void;
}

export function UserLimitForm({ limits, limit, onDone }: UserLimitFormProps) {
  const { busy, run } = useChange(keys.usage);
  const { data: users } = useUsers(limit === null);
  const others = users?.filter((user) => !limits.overrides.some(({ user_id }) => user_id === user.id)) ?? [];
  const [chosen, setChosen] = useState(limit?.user_id ?? "");
  const [amount, setAmount] = useState(limit?.spend_limit_micros ? String(limit.spend_limit_micros / MICROS) : "");
  const userId = chosen || (others[0]?.id ?? "");
  const micros = readMoney(amount);
  const period = limits.period || "month";
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (micros !== null && userId !== "" && (await run(() => putUserLimit(userId, micros)))) onDone();
  };
  if (limit === null && users && others.length === 0) return <Notice tone="info" title="Everybody has a limit of their own already." />;
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      {limit === null ? (
        <SelectField label="Person" value={userId} onChange={(event) => setChosen(event.target.value)}>
          {others.map((user) => (
            <option key={user.id} value={user.id}>
              {user.name ? `${user.name} (${user.username})` : user.username}
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
        hint={limits.spend_limit_micros === null ? "Holds only once there is a limit for everyone." : undefined}
      />
      <Button type="submit" look="primary" busy={busy} disabled={micros === null || userId === ""}>
        Set limit
      </Button>
    </form>
  );
}

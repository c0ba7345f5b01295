import { type FormEvent, useState } from "react";
import { type Period, putUsageLimit, type UsageLimits } from "@/api/usage.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { MICROS, readMoney } from "@/lib/money.ts";
import { useChange } from "../useChange.ts";

const PERIODS: readonly (readonly [Period, string])[] = [
  ["day", "Day"],
  ["week", "Week, from Monday"],
  ["month", "Month"],
];

/** The limit that holds for everybody who has none of their own. */
export function LimitForm({ limits }: { limits: UsageLimits }) {
  const { busy, run } = useChange(keys.usage);
  const stored = limits.spend_limit_micros;
  const [amount, setAmount] = useState(stored === null ? "" : String(stored / MICROS));
  const [period, setPeriod] = useState<Period>(limits.period || "month");
  const micros = readMoney(amount);
  const isSame = micros === stored && period === limits.period;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (micros !== null && (await run(() => putUsageLimit(micros, period)))) toast("The limit holds from now on");
  };
  const lift = async () => {
    if (stored === null || !(await run(() => putUsageLimit(null, period)))) return;
    toast("The limit is lifted", { action: { label: "Undo", run: () => void run(() => putUsageLimit(stored, period)) } });
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <div className="grid items-start gap-4 sm:grid-cols-2">
        <Field
          label="US dollars per person"
          inputMode="decimal"
          autoComplete="off"
          placeholder="no limit"
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
          problem={amount.trim() !== "" && micros === null ? "An amount above zero, such as 20 or 2.50." : undefined}
        />
        <SelectField label="In each" value={period} onChange={(event) => setPeriod(event.target.value as Period)}>
          {PERIODS.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </SelectField>
      </div>
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" busy={busy} disabled={micros === null || isSame}>
          {stored === null ? "Set limit" : "Save"}
        </Button>
        {stored === null ? null : (
          <Button look="quiet" disabled={busy} onClick={() => void lift()}>
            Lift the limit
          </Button>
        )}
      </div>
    </form>
  );
}

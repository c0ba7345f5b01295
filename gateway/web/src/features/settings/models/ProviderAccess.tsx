import { type FormEvent, useState } from "react";
import { patchProvider } from "@/api/models.ts";
import type { Provider } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Switch } from "@/components/Switch.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { type Access, accessOf, accessText, changeAccess } from "@/lib/access.ts";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";

const MAX_CONCURRENT = 10_000;
const SWITCHES: readonly (readonly [keyof Access, string])[] = [
  ["central_api_key_enabled", "Use the keys above"],
  ["allow_user_api_key", "Users may bring their own key"],
  ["allow_central_api_key_fallback", "Who brings none uses the keys above"],
];

/** Whose keys are used, and how much at once. */
export function ProviderAccess({ provider }: { provider: Provider }) {
  const { busy, run } = useChange(keys.providers, keys.providerHealth, keys.ownKeys);
  const access = accessOf(provider);
  const save = async (change: Partial<Access>) => {
    const before = accessOf(provider);
    if (await run(() => patchProvider(provider.id, change))) toast("Saved", { action: { label: "Undo", run: () => void run(() => patchProvider(provider.id, before)) } });
  };
  return (
    <Section title="Access and load" text={accessText(access)}>
      <div className="mb-5 -ml-1 flex flex-col items-start gap-0.5">
        {SWITCHES.map(([name, label]) => {
          const change = changeAccess(access, { [name]: !access[name] });
          const isIdle = name === "allow_central_api_key_fallback" && !(access.central_api_key_enabled && access.allow_user_api_key);
          return <Switch key={name} label={label} checked={access[name]} disabled={busy || change === null || isIdle} onChange={() => change && void save(change)} />;
        })}
      </div>
      <MostAtOnce provider={provider} />
    </Section>
  );
}

function MostAtOnce({ provider }: { provider: Provider }) {
  const { busy, run } = useChange(keys.providers, keys.providerHealth);
  const stored = provider.max_concurrent ?? 0;
  const [typed, setTyped] = useState<string | null>(null);
  const text = typed ?? (stored === 0 ? "" : String(stored));
  const most = Number(text);
  const isSound = Number.isInteger(most) && most >= 0 && most <= MAX_CONCURRENT;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await run(() => patchProvider(provider.id, { max_concurrent: most })))) return;
    setTyped(null);
    toast("Saved");
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field
        label="Answers at once"
        inputMode="numeric"
        autoComplete="off"
        placeholder="no limit"
        value={text}
        onChange={(event) => setTyped(event.target.value)}
        problem={isSound ? undefined : `A whole number up to ${MAX_CONCURRENT.toLocaleString("en-US")}, or nothing.`}
        hint="On each replica. What comes beyond waits for its turn."
      />
      <Button type="submit" busy={busy} disabled={!isSound || most === stored}>
        Save
      </Button>
    </form>
  );
}

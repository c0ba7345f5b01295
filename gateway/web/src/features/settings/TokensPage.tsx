import { type FormEvent, useState } from "react";
import { type ApiToken, createToken, revokeToken } from "@/api/account.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { CopyButton } from "@/components/CopyButton.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { keys } from "@/data/keys.ts";
import { useTokens } from "@/data/queries.ts";
import { exactTime } from "@/lib/time.ts";
import { LIST, Loading, Section } from "./Section.tsx";
import { useChange } from "./useChange.ts";

const LIFETIMES = [7, 30, 90, 365];

export function TokensPage() {
  const { data: tokens, error } = useTokens();
  return (
    <>
      <Section title="New token" text="For programs: send it as “Authorization: Bearer …”. It can do everything you can.">
        <NewToken />
      </Section>
      <Section title="Tokens">
        {error ? <Notice tone="danger" title={describe(error)} /> : null}
        <ul className={LIST}>
          {tokens?.map((token) => <TokenItem key={token.id} token={token} />)}
          {tokens === undefined && !error ? <Loading /> : null}
          {tokens?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None yet.</li> : null}
        </ul>
      </Section>
    </>
  );
}

function NewToken() {
  const { busy, run } = useChange(keys.tokens);
  const [name, setName] = useState("");
  const [days, setDays] = useState(30);
  const [made, setMade] = useState<string | null>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      const { key } = await createToken(name.trim(), days);
      setMade(key);
      setName("");
    });
  };
  return (
    <div className="space-y-4">
      <form onSubmit={submit} className="flex flex-wrap items-end gap-3">
        <Field label="Name" className="min-w-48 flex-1" placeholder="ci" required value={name} onChange={(event) => setName(event.target.value)} />
        <SelectField label="Valid for" className="w-36" value={days} onChange={(event) => setDays(Number(event.target.value))}>
          {LIFETIMES.map((n) => (
            <option key={n} value={n}>
              {n === 365 ? "1 year" : `${String(n)} days`}
            </option>
          ))}
        </SelectField>
        <Button type="submit" look="primary" busy={busy} disabled={name.trim() === ""} className="h-10">
          Create
        </Button>
      </form>
      {made ? (
        <Notice tone="ok" title="Copy it now: it is shown only this once">
          <span className="mt-1 flex items-center gap-1 rounded-md border border-line bg-canvas py-0.5 pr-1 pl-2.5">
            <code className="min-w-0 flex-1 font-mono text-xs wrap-anywhere text-ink">{made}</code>
            <CopyButton text={made} label="Copy token" />
          </span>
        </Notice>
      ) : null}
    </div>
  );
}

/** Upstream shapes say "never" with a date in the year 1. */
const isSet = (iso: string | undefined) => iso !== undefined && !iso.startsWith("0001-");

function TokenItem({ token }: { token: ApiToken }) {
  const { busy, run } = useChange(keys.tokens);
  return (
    <li className="flex items-center gap-3 py-2.5 pr-3 pl-4">
      <div className="min-w-0 flex-1">
        <p className="truncate text-sm font-medium">{token.token_name || token.id}</p>
        <p className="text-xs text-faint">
          {isSet(token.last_used) ? (
            <>
              used <RelativeTime iso={token.last_used} />
            </>
          ) : (
            "never used"
          )}
          {isSet(token.expires_at) ? ` · valid until ${exactTime(token.expires_at)}` : ""}
        </p>
      </div>
      <Button look="danger" busy={busy} aria-label={`Revoke ${token.token_name}`} onClick={() => void run(() => revokeToken(token.id))}>
        Revoke
      </Button>
    </li>
  );
}

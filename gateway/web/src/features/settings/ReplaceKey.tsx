import { type FormEvent, useState } from "react";
import { checkProvider, patchProvider } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { Provider, ProviderCheckResult } from "@/api/types.ts";
import { Button } from "@/components/Button.tsx";
import { CheckResult } from "@/components/connect/CheckResult.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { keys } from "@/data/keys.ts";
import { useChange } from "./useChange.ts";

/** A new key replaces the old ones only after the provider has accepted it. */
export function ReplaceKey({ provider, onDone }: { provider: Provider; onDone: () => void }) {
  const { busy, run } = useChange(keys.providers);
  const [key, setKey] = useState("");
  const [result, setResult] = useState<ProviderCheckResult | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [testing, setTesting] = useState(false);
  const save = async (apiKeys: { api_key: string }[]) => {
    if (await run(() => patchProvider(provider.id, { api_keys: apiKeys }))) onDone();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const apiKey = key.trim();
    setTesting(true);
    setProblem(null);
    try {
      const check = await checkProvider({ type: provider.type, base_url: provider.base_url, api_key: apiKey });
      setResult(check);
      if (check.ok) await save([{ api_key: apiKey }]);
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setTesting(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field label="New key" type="password" autoComplete="off" spellCheck={false} required value={key} onChange={(event) => setKey(event.target.value)} hint="It is tested first; the old one stays until the new one works." />
      {result ? <CheckResult result={result} /> : null}
      {problem ? <Notice tone="danger" title={problem} /> : null}
      <div className="flex gap-2">
        <Button type="submit" look="primary" busy={busy || testing} disabled={key.trim() === ""}>
          Test and replace
        </Button>
        {provider.api_keys.length > 0 ? (
          <Button look="danger" disabled={busy || testing} onClick={() => void save([])}>
            Remove key
          </Button>
        ) : null}
      </div>
    </form>
  );
}

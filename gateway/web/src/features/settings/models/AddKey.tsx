import { type FormEvent, useState } from "react";
import { checkProvider, patchProvider } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { Provider, ProviderCheckResult } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { CheckResult } from "@/components/connect/CheckResult.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { keys } from "@/data/keys.ts";
import { useChange } from "../useChange.ts";

/** A key is kept once the provider has accepted it. */
export function AddKey({ provider, onDone }: { provider: Provider; onDone: () => void }) {
  const { busy, run } = useChange(keys.providers);
  const [key, setKey] = useState("");
  const [replaces, setReplaces] = useState(false);
  const [result, setResult] = useState<ProviderCheckResult | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [testing, setTesting] = useState(false);
  const apiKey = key.trim();
  const add = async () => {
    const kept = replaces ? [] : provider.api_keys.map(({ id }) => ({ id }));
    if (await run(() => patchProvider(provider.id, { api_keys: [...kept, { api_key: apiKey }] }))) onDone();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setTesting(true);
    setProblem(null);
    setResult(null);
    try {
      const check = await checkProvider({ type: provider.type, api_key: apiKey, ...(provider.base_url && { base_url: provider.base_url }) });
      setResult(check);
      if (check.ok) await add();
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setTesting(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Field
        label="New key"
        type="password"
        autoComplete="off"
        spellCheck={false}
        required
        value={key}
        onChange={(event) => {
          setKey(event.target.value);
          setResult(null);
        }}
        hint="It is tested first, then stored encrypted and never shown again."
      />
      {provider.api_keys.length > 0 ? (
        <label className="flex items-center gap-2.5 text-sm touch:min-h-11">
          <input type="checkbox" className="size-4 accent-accent" checked={replaces} onChange={(event) => setReplaces(event.target.checked)} />
          {provider.api_keys.length === 1 ? "Replace the stored key once this one works" : "Replace all stored keys once this one works"}
        </label>
      ) : null}
      {result ? <CheckResult result={result} /> : null}
      {problem ? <Notice tone="danger" title={problem} /> : null}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" busy={busy || testing} disabled={apiKey === ""}>
          {testing ? "Testing…" : "Test and add"}
        </Button>
        {result?.ok === false ? (
          <Button disabled={busy || testing} onClick={() => void add()}>
            Add it all the same
          </Button>
        ) : null}
      </div>
    </form>
  );
}

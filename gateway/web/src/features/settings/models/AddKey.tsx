import { type FormEvent, useState } from "react";
import { checkProvider, patchProvider } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { Provider, ProviderCheckResult, ProviderKey } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { CheckResult } from "@/components/connect/CheckResult.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { keys } from "@/data/keys.ts";
import { useChange } from "../useChange.ts";

interface AddKeyProps {
  provider: Provider;
  /** The key whose place it takes; absent: it comes last. */
  inPlaceOf?: ProviderKey;
  onDone: () => void;
}

/** A key is kept once the provider has accepted it. */
export function AddKey({ provider, inPlaceOf, onDone }: AddKeyProps) {
  const { busy, run } = useChange(keys.providers, keys.providerHealth);
  const [key, setKey] = useState("");
  const [result, setResult] = useState<ProviderCheckResult | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [testing, setTesting] = useState(false);
  const apiKey = key.trim();
  const add = async () => {
    const added = { api_key: apiKey };
    const wanted = provider.api_keys.map(({ id }) => (id === inPlaceOf?.id ? added : { id }));
    // The key to be replaced may have been removed meanwhile: then the new one comes last, as without one.
    const isThere = provider.api_keys.some(({ id }) => id === inPlaceOf?.id);
    if (await run(() => patchProvider(provider.id, { api_keys: isThere ? wanted : [...wanted, added] }))) onDone();
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
        hint={inPlaceOf ? "It is tested first, then takes the other's place. Until then that one goes on answering." : "It is tested first, then stored encrypted and never shown again."}
      />
      {result ? <CheckResult result={result} /> : null}
      {problem ? <Notice tone="danger" title={problem} /> : null}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" busy={busy || testing} disabled={apiKey === ""}>
          {testing ? "Testing…" : inPlaceOf ? "Test and replace" : "Test and add"}
        </Button>
        {result?.ok === false ? (
          <Button disabled={busy || testing} onClick={() => void add()}>
            {inPlaceOf ? "Replace it all the same" : "Add it all the same"}
          </Button>
        ) : null}
      </div>
    </form>
  );
}

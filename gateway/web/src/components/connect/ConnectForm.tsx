import { type FormEvent, type ReactNode, useState } from "react";
import { checkProvider } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { ProviderCheckResult } from "@/api/modelTypes.ts";
import { Button } from "../Button.tsx";
import { Field } from "../Field.tsx";
import { Notice } from "../Notice.tsx";
import { SelectField } from "../SelectField.tsx";
import { CheckResult } from "./CheckResult.tsx";
import { preferredModel } from "./presets.ts";
import { type Connectable, useConnect } from "./useConnect.ts";

interface ConnectFormProps {
  /** What is to be connected, or `null` while the fields are not filled. Changing it forgets an earlier check. */
  target: Omit<Connectable, "model"> | null;
  preferred: readonly string[];
  children: ReactNode;
  onDone: () => void;
}

/** Two steps around some fields: check what was entered against the provider, then choose a model of those it offers. */
export function ConnectForm({ target, preferred, children, onDone }: ConnectFormProps) {
  const { connect } = useConnect();
  const [check, setCheck] = useState<{ of: string; result: ProviderCheckResult } | null>(null);
  const [model, setModel] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const current = check?.of === JSON.stringify(target) ? check.result : null;

  const attempt = async (action: () => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    try {
      await action();
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setBusy(false);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!target) return;
    void attempt(async () => {
      if (current?.ok) {
        await connect({ ...target, model: model.trim() });
        onDone();
        return;
      }
      const result = await checkProvider({
        type: target.type,
        ...(target.baseUrl && { base_url: target.baseUrl }),
        ...(target.apiKey && { api_key: target.apiKey }),
      });
      setCheck({ of: JSON.stringify(target), result });
      setModel(preferredModel(result.models, preferred));
    });
  };

  return (
    <form onSubmit={submit} className="space-y-4">
      {children}
      {current ? <CheckResult result={current} /> : null}
      {problem ? <Notice tone="danger" title={problem} /> : null}
      {current?.ok && current.models.length > 0 ? (
        <SelectField label="Default model" value={model} onChange={(event) => setModel(event.target.value)}>
          {current.models.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </SelectField>
      ) : null}
      {current?.ok && current.models.length === 0 ? (
        <Field label="Model" autoComplete="off" spellCheck={false} value={model} onChange={(event) => setModel(event.target.value)} hint="It does not say what it offers. The name it goes by there, such as that of a deployment." />
      ) : null}
      <Button type="submit" look="primary" busy={busy} disabled={!target || (current?.ok === true && model.trim() === "")}>
        {current?.ok ? "Use this model" : busy ? "Testing…" : "Test"}
      </Button>
    </form>
  );
}

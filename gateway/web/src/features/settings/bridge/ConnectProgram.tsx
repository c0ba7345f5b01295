import { Link } from "@tanstack/react-router";
import { KeyRound } from "lucide-react";
import { useState } from "react";
import { buttonClasses } from "@/components/Button.tsx";
import { Choice } from "@/components/Choice.tsx";
import { CodeBlock } from "@/components/CodeBlock.tsx";
import { CopyButton } from "@/components/CopyButton.tsx";
import { Notice } from "@/components/Notice.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { useChoosableModels } from "@/data/queries.ts";
import { modelName } from "@/lib/names.ts";
import { programUrl, type Dialect, DIALECT_NAMES, SNIPPETS } from "./snippets.ts";

const DIALECTS: readonly Dialect[] = ["openai", "anthropic"];

/** Addresses, a token, and something to copy. */
export function ConnectProgram() {
  const { origin } = window.location;
  const { models, fallback, isPending } = useChoosableModels();
  const [chosen, setChosen] = useState("");
  const [program, setProgram] = useState("curl");
  const [wanted, setDialect] = useState<Dialect>("openai");
  const names = [...new Map(models.map((model) => [model.model, modelName(model)]))];
  const model = chosen || (fallback?.model ?? "");
  const snippet = SNIPPETS.find(({ id }) => id === program);
  const dialect = snippet?.dialects.includes(wanted) === false ? (snippet.dialects[0] ?? wanted) : wanted;
  return (
    <div className="space-y-5">
      <dl className="divide-y divide-line rounded-xl border border-line bg-raised text-sm">
        {DIALECTS.map((one) => (
          <div key={one} className="flex flex-wrap items-center gap-x-3 py-1.5 pr-2 pl-4">
            <dt className="w-24 shrink-0 text-muted">{DIALECT_NAMES[one]}</dt>
            <dd className="flex min-w-0 flex-1 basis-48 items-center justify-between gap-2">
              <code className="min-w-0 font-mono text-[13px] wrap-anywhere">{programUrl(origin, one)}</code>
              <CopyButton text={programUrl(origin, one)} label={`Copy the ${DIALECT_NAMES[one]} address`} />
            </dd>
          </div>
        ))}
      </dl>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="min-w-0 flex-1 basis-60 text-sm text-muted">
          A token of yours takes the place of the vendor's key; the snippets read it from TANDEM_TOKEN. Who brings a credential of their own sends that as usual, and the token as <code className="font-mono text-[13px]">X-Coder-AI-Governance-Token</code>.
        </p>
        <Link to="/settings/tokens" className={buttonClasses("secondary")}>
          <KeyRound size={14} aria-hidden /> Create a token
        </Link>
      </div>
      {models.length === 0 ? (
        isPending ? null : <Notice tone="info" title="There is no model yet that a program could ask for" />
      ) : (
        <>
          <div className="flex flex-wrap gap-3">
            <Choice label="Program" value={program} onChange={setProgram} options={SNIPPETS.map(({ id, name }) => [id, name])} />
            {snippet && snippet.dialects.length > 1 ? <Choice label="Protocol" value={dialect} onChange={setDialect} options={snippet.dialects.map((one) => [one, DIALECT_NAMES[one]])} /> : null}
          </div>
          {names.length > 1 ? (
            <SelectField label="Model" value={model} onChange={(event) => setChosen(event.target.value)} hint="By this name a program asks for it. Where two providers have the same, put the provider's name before it: provider/model.">
              {names.map(([id, name]) => (
                <option key={id} value={id}>
                  {name === id ? id : `${name} (${id})`}
                </option>
              ))}
            </SelectField>
          ) : null}
          {snippet ? <CodeBlock code={snippet.code({ origin, model, dialect })} language={snippet.language} /> : null}
        </>
      )}
    </div>
  );
}

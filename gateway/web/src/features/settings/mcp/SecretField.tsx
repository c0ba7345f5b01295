import { useState } from "react";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";

interface SecretFieldProps {
  label: string;
  /** There is one, which nobody can read back. */
  isStored: boolean;
  value: string;
  problem: string | undefined;
  hint?: string;
  onChange: (value: string) => void;
  /** Given: it can do without. */
  onRemove?: () => void;
}

/** A secret goes in and never comes out: it is set, replaced, or removed. */
export function SecretField({ label, isStored, value, problem, hint = "Stored encrypted, and never shown again.", onChange, onRemove }: SecretFieldProps) {
  const [isReplacing, setReplacing] = useState(false);
  if (isStored && !isReplacing && problem === undefined) {
    return (
      <div role="group" aria-label={label}>
        <p className="mb-1.5 text-sm font-medium">{label}</p>
        <div className="flex min-h-10 flex-wrap items-center gap-2">
          <span className="text-sm text-muted">Stored encrypted</span>
          <Button onClick={() => setReplacing(true)}>Replace</Button>
          {onRemove ? (
            <Button look="quiet" onClick={onRemove}>
              Remove
            </Button>
          ) : null}
        </div>
      </div>
    );
  }
  return <Field label={label} type="password" autoComplete="off" spellCheck={false} value={value} onChange={(event) => onChange(event.target.value)} problem={problem} hint={isStored ? "Takes the place of the one that is stored." : hint} />;
}

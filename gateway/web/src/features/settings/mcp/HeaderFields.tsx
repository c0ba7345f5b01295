import { Plus, X } from "lucide-react";
import { useId } from "react";
import { Button } from "@/components/Button.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import type { HeaderField } from "@/lib/mcpDraft.ts";

const MAX_HEADERS = 32;
const INPUT = "h-10 w-full min-w-0 rounded-md border border-line-strong bg-canvas px-3 text-base text-ink touch:h-11";

interface HeaderFieldsProps {
  /** `null`: those that are stored. */
  headers: readonly HeaderField[] | null;
  problem: string | undefined;
  onChange: (headers: readonly HeaderField[] | null) => void;
  /** Given: there are stored ones to go back to. */
  canKeep: boolean;
}

const added = (headers: readonly HeaderField[]): readonly HeaderField[] => [...headers, { key: Math.max(0, ...headers.map(({ key }) => key)) + 1, name: "", value: "" }];

/** Headers and their values, which nobody can read back. */
export function HeaderFields({ headers, problem, onChange, canKeep }: HeaderFieldsProps) {
  const id = useId();
  const rows = headers?.length === 0 ? added([]) : headers;
  const change = (key: number, with_: Partial<HeaderField>) => onChange((rows ?? []).map((row) => (row.key === key ? { ...row, ...with_ } : row)));
  return (
    <div role="group" aria-labelledby={id}>
      <p id={id} className="mb-1.5 text-sm font-medium">
        Headers
      </p>
      {rows === null ? (
        <div className="flex min-h-10 flex-wrap items-center gap-2">
          <span className="text-sm text-muted">Stored encrypted</span>
          <Button onClick={() => onChange([])}>Replace all</Button>
        </div>
      ) : (
        <>
          <ul className="space-y-2">
            {rows.map(({ key, name, value }, place) => (
              <li key={key} className="flex items-center gap-2">
                <input aria-label={`Name of header ${String(place + 1)}`} className={INPUT} placeholder="X-Api-Key" autoComplete="off" spellCheck={false} value={name} onChange={(event) => change(key, { name: event.target.value })} />
                <input aria-label={`Value of header ${String(place + 1)}`} className={INPUT} type="password" autoComplete="off" spellCheck={false} value={value} onChange={(event) => change(key, { value: event.target.value })} />
                <IconButton label={`Remove header ${String(place + 1)}`} tipSide="left" disabled={rows.length === 1} onClick={() => onChange(rows.filter((row) => row.key !== key))}>
                  <X size={15} />
                </IconButton>
              </li>
            ))}
          </ul>
          <div className="mt-2 flex flex-wrap gap-2">
            <Button disabled={rows.length >= MAX_HEADERS} onClick={() => onChange(added(rows))}>
              <Plus size={14} aria-hidden /> Add a header
            </Button>
            {canKeep ? (
              <Button look="quiet" onClick={() => onChange(null)}>
                Keep those that are stored
              </Button>
            ) : null}
          </div>
        </>
      )}
      <p className={problem ? "mt-1.5 text-sm text-danger" : "mt-1.5 text-sm text-faint"}>{problem ?? (rows === null ? "Nobody can read them back." : "Stored encrypted, and never shown again.")}</p>
    </div>
  );
}

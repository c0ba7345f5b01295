import { ArrowDown, ArrowUp, KeyRound, Trash2 } from "lucide-react";
import type { KeyHealth } from "@/api/providerHealth.ts";
import type { ProviderKey } from "@/api/modelTypes.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { useNow } from "@/components/useNow.ts";
import { keyText } from "@/lib/providerHealth.ts";
import { HealthLine } from "./HealthLine.tsx";

const STEP_MS = 10_000;

interface KeyRowProps {
  stored: ProviderKey;
  /** `undefined` while nobody knows. */
  health: KeyHealth | undefined;
  /** Its place among so many. */
  place: number;
  count: number;
  disabled: boolean;
  onMove: (step: 1 | -1) => void;
  onReplace: () => void;
  onRemove: () => void;
}

/** One key: its ends, how it does, and its place in the order. */
export function KeyRow({ stored: key, health, place, count, disabled, onMove, onReplace, onRemove }: KeyRowProps) {
  const now = useNow(STEP_MS, health !== undefined);
  const state = health && keyText(health, now);
  return (
    <li className="flex items-start gap-1 py-2 pr-2 pl-4">
      <span className="min-w-0 flex-1 py-0.5">
        <span className="flex flex-wrap items-baseline gap-x-2">
          <code className="truncate font-mono text-sm">{key.masked}</code>
          <span className="text-xs text-faint">
            added <RelativeTime iso={key.created_at} />
          </span>
        </span>
        {state ? <HealthLine level={state.level} word={state.text} className="text-xs" /> : null}
        {state && state.error !== "" ? <span className="block text-xs text-muted wrap-anywhere">{state.error}</span> : null}
      </span>
      {count > 1 ? (
        <>
          <IconButton label={`Use ${key.masked} earlier`} tipSide="left" disabled={disabled || place === 0} onClick={() => onMove(-1)}>
            <ArrowUp size={15} />
          </IconButton>
          <IconButton label={`Use ${key.masked} later`} tipSide="left" disabled={disabled || place === count - 1} onClick={() => onMove(1)}>
            <ArrowDown size={15} />
          </IconButton>
        </>
      ) : null}
      <IconButton label={`Replace ${key.masked}`} tipSide="left" disabled={disabled} onClick={onReplace}>
        <KeyRound size={15} />
      </IconButton>
      <IconButton label={`Remove ${key.masked}`} tipSide="left" disabled={disabled} onClick={onRemove}>
        <Trash2 size={15} />
      </IconButton>
    </li>
  );
}

import type { ProviderCheckResult } from "@/api/modelTypes.ts";
import { Notice } from "../Notice.tsx";

/** What the provider said when it was asked. */
export function CheckResult({ result, showsModels = false }: { result: ProviderCheckResult; showsModels?: boolean }) {
  if (!result.ok) {
    return (
      <Notice tone="danger" title="That did not work">
        {result.message}
      </Notice>
    );
  }
  const count = result.models.length;
  return (
    <Notice tone="ok" title="It works">
      {count === 1 ? "1 model" : `${count} models`} · answered in {result.latency_ms} ms
      {showsModels && count > 0 ? (
        <details className="mt-1">
          <summary className="w-fit cursor-pointer rounded-md touch:min-h-11 touch:leading-[44px]">What it offers</summary>
          <ul className="mt-1 max-h-56 overflow-y-auto font-mono text-xs leading-5">
            {result.models.map((name) => (
              <li key={name}>{name}</li>
            ))}
          </ul>
        </details>
      ) : null}
    </Notice>
  );
}

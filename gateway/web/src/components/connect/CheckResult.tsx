import type { ProviderCheckResult } from "@/api/types.ts";
import { Notice } from "../Notice.tsx";

/** What the provider said when it was asked. */
export function CheckResult({ result }: { result: ProviderCheckResult }) {
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
    </Notice>
  );
}

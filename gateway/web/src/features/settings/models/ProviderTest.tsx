import { useQuery } from "@tanstack/react-query";
import { checkProvider } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { Provider } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { CheckResult } from "@/components/connect/CheckResult.tsx";
import { Notice } from "@/components/Notice.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { providerName } from "@/lib/names.ts";

/** `enabled: false` waits to be told. What was found is forgotten with the place it was asked for. */
export function useProviderCheck(provider: Provider, enabled = true) {
  return useQuery({
    queryKey: ["provider-check", provider.id],
    queryFn: () => checkProvider({ type: provider.type, provider_id: provider.id, ...(provider.base_url && { base_url: provider.base_url }) }),
    enabled,
    retry: false,
    gcTime: 0,
  });
}

interface ProviderTestProps {
  provider: Provider;
  /** At once; otherwise when the button is pressed. */
  asksAtOnce?: boolean;
}

/** Asks the provider, with the stored keys, what it says now. */
export function ProviderTest({ provider, asksAtOnce = true }: ProviderTestProps) {
  const { data, error, isFetching, refetch } = useProviderCheck(provider, asksAtOnce);
  return (
    <div className="space-y-4">
      {isFetching ? (
        <p className="flex items-center gap-2 text-sm text-muted">
          <Spinner /> Asking {providerName(provider)}…
        </p>
      ) : null}
      {error && !isFetching ? <Notice tone="danger" title={describe(error)} /> : null}
      {data && !isFetching ? <CheckResult result={data} showsModels /> : null}
      <Button disabled={isFetching} onClick={() => void refetch()}>
        {data || error || asksAtOnce ? "Test again" : "Test now"}
      </Button>
    </div>
  );
}

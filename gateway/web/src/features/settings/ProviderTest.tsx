import { useQuery } from "@tanstack/react-query";
import { checkProvider } from "@/api/models.ts";
import { describe } from "@/api/problem.ts";
import type { Provider } from "@/api/types.ts";
import { Button } from "@/components/Button.tsx";
import { CheckResult } from "@/components/connect/CheckResult.tsx";
import { Notice } from "@/components/Notice.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { providerName } from "@/lib/names.ts";

export function useProviderCheck(provider: Provider) {
  return useQuery({
    queryKey: ["provider-check", provider.id],
    queryFn: () => checkProvider({ type: provider.type, base_url: provider.base_url, provider_id: provider.id }),
    retry: false,
    gcTime: 0,
  });
}

/** Asks the provider, with the stored key, what it says now. */
export function ProviderTest({ provider }: { provider: Provider }) {
  const { data, error, isFetching, refetch } = useProviderCheck(provider);
  return (
    <div className="space-y-4">
      {isFetching ? (
        <p className="flex items-center gap-2 text-sm text-muted">
          <Spinner /> Asking {providerName(provider)}…
        </p>
      ) : null}
      {error && !isFetching ? <Notice tone="danger" title={describe(error)} /> : null}
      {data && !isFetching ? <CheckResult result={data} /> : null}
      <Button disabled={isFetching} onClick={() => void refetch()}>
        Test again
      </Button>
    </div>
  );
}

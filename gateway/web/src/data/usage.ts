// Money as React hooks: limits, and what was spent. An older server has none of it and says 404.
import { useQueries, useQuery } from "@tanstack/react-query";
import { getCostSummary, getUsageLimits, getUsageStatus, listCostUsers, type Span } from "@/api/usage.ts";
import { keys } from "./keys.ts";
import { retryServed } from "./retryServed.ts";

const FRESH_MS = 15_000;
const common = { staleTime: FRESH_MS, retry: retryServed };

export const useUsageStatus = () => useQuery({ queryKey: keys.usageStatus, queryFn: getUsageStatus, ...common });
/** Only administrators may ask for this and what follows. */
export const useUsageLimits = (enabled: boolean) => useQuery({ queryKey: keys.usageLimits, queryFn: getUsageLimits, enabled, ...common });
export const useCostUsers = (span: Span, words: string, offset: number, enabled: boolean) =>
  useQuery({ queryKey: keys.costUsers(span, words, offset), queryFn: () => listCostUsers(span, words, offset), enabled, placeholderData: (before) => before, ...common });

const summary = (user: string, span: Span) => ({ queryKey: keys.costSummary(user, span), queryFn: () => getCostSummary(user, span), ...common });

/** `user` is an id, or `me`, which everybody may ask for. */
export const useCostSummary = (user: string, span: Span) => useQuery({ ...summary(user, span), placeholderData: (before) => before });

/** What each of these spans cost, in micros; `null` until all are known. */
export function useCosts(user: string, spans: readonly Span[], enabled: boolean): number[] | null {
  return useQueries({
    queries: spans.map((span) => ({ ...summary(user, span), enabled })),
    combine: (results) => {
      const costs = results.flatMap(({ data }) => (data ? [data.total_cost_micros] : []));
      return costs.length === spans.length ? costs : null;
    },
  });
}

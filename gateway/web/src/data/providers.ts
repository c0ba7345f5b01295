// How providers do, and the keys users bring for them, as React hooks.
import { useQuery } from "@tanstack/react-query";
import { listOwnKeys } from "@/api/ownKeys.ts";
import { isNotServed } from "@/api/problem.ts";
import { getProvidersHealth, type ProviderHealth } from "@/api/providerHealth.ts";
import { keys } from "./keys.ts";
import { retryServed } from "./retryServed.ts";

/** How often it is asked for while somebody looks. */
export const HEALTH_EVERY_MS = 10_000;
const MINUTE = 60_000;

/** Asked for again and again while the page is visible, and not at all of a server that does not know. Only administrators may ask. */
export const useProvidersHealth = () =>
  useQuery({
    queryKey: keys.providerHealth,
    queryFn: getProvidersHealth,
    staleTime: HEALTH_EVERY_MS / 2,
    refetchInterval: ({ state }) => (isNotServed(state.error) ? false : HEALTH_EVERY_MS),
    retry: retryServed,
  });

/** That of one provider; `undefined` while nobody knows. What was known before the server fell silent is not told as if it still were. */
export function useProviderHealth(providerId: string): ProviderHealth | undefined {
  const { data, isError } = useProvidersHealth();
  return isError ? undefined : data?.providers.find(({ provider_id }) => provider_id === providerId);
}

/** For each provider, whether the user brings a key of their own. */
export const useOwnKeys = () => useQuery({ queryKey: keys.ownKeys, queryFn: listOwnKeys, staleTime: MINUTE, retry: retryServed });

/** Whether keys of one's own are a matter here at all. */
export function useTakesOwnKeys(): boolean {
  return useOwnKeys().data?.some(({ byok_enabled, has_user_api_key }) => byok_enabled || has_user_api_key) === true;
}

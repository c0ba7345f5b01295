// Server state as React hooks: one per thing the server knows. Features use these and never fetch on their own.
import { queryOptions, useQuery } from "@tanstack/react-query";
import { getMe, getOrganizations, getSetup, listTokens } from "@/api/account.ts";
import { listChats } from "@/api/chats.ts";
import { detectServers, listModels, listProviders } from "@/api/models.ts";
import type { ModelConfig, Organization } from "@/api/types.ts";
import { keys } from "./keys.ts";

const MINUTE = 60_000;

export const meQuery = queryOptions({ queryKey: keys.me, queryFn: getMe, staleTime: 5 * MINUTE, retry: false });
export const setupQuery = queryOptions({ queryKey: keys.setup, queryFn: getSetup, staleTime: MINUTE, retry: false });

export const useMe = () => useQuery(meQuery);
export const useChats = () => useQuery({ queryKey: keys.chats, queryFn: () => listChats(false), staleTime: Infinity });
export const useArchivedChats = (enabled: boolean) => useQuery({ queryKey: keys.archivedChats, queryFn: () => listChats(true), enabled });
export const useModels = () => useQuery({ queryKey: keys.models, queryFn: listModels, staleTime: MINUTE });
export const useProviders = () => useQuery({ queryKey: keys.providers, queryFn: listProviders, staleTime: MINUTE });
export const useDetectedServers = () => useQuery({ queryKey: keys.detected, queryFn: detectServers, staleTime: 0, retry: false });
export const useTokens = () => useQuery({ queryKey: keys.tokens, queryFn: listTokens });

export function useOrganization(): Organization | undefined {
  const { data } = useQuery({ queryKey: keys.organizations, queryFn: getOrganizations, staleTime: Infinity });
  return data?.find((organization) => organization.is_default) ?? data?.[0];
}

/** Models that can be chosen, and the one that is used when nothing is. */
export function useChoosableModels(): { models: ModelConfig[]; fallback: ModelConfig | undefined; isLoaded: boolean } {
  const { data } = useModels();
  const models = (data ?? []).filter((model) => model.enabled);
  return { models, fallback: models.find((model) => model.is_default) ?? models[0], isLoaded: data !== undefined };
}

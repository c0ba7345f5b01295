// Server state as React hooks: one per thing the server knows. Features use these and never fetch on their own.
import { queryOptions, useQuery } from "@tanstack/react-query";
import { getMe, getOrganizations, getSetup, listTokens } from "@/api/account.ts";
import { getChat, listChats } from "@/api/chats.ts";
import { listUsers, OWNER } from "@/api/users.ts";
import { detectServers, listModels, listProviders } from "@/api/models.ts";
import type { ModelConfig } from "@/api/modelTypes.ts";
import type { Chat, Organization } from "@/api/types.ts";
import { keys } from "./keys.ts";
import { withoutRead } from "./readMarks.ts";

const MINUTE = 60_000;
const SEARCH_FRESH_MS = 10_000;

export const meQuery = queryOptions({ queryKey: keys.me, queryFn: getMe, staleTime: 5 * MINUTE, retry: false });
export const setupQuery = queryOptions({ queryKey: keys.setup, queryFn: getSetup, staleTime: MINUTE, retry: false });

export const useMe = () => useQuery(meQuery);
/** Whether the user manages this Tandem; `undefined` while nobody knows. */
export function useIsAdministrator(): boolean | undefined {
  const { data: me } = useMe();
  return me?.roles.some((role) => role.name === OWNER);
}
export const useChats = () => useQuery({ queryKey: keys.chats, queryFn: () => listChats().then((chats) => [...withoutRead(chats, null)]), staleTime: Infinity });
export const useArchivedChats = (enabled: boolean) => useQuery({ queryKey: keys.archivedChats, queryFn: () => listChats({ q: "archived:true" }), enabled });

/** What the server finds; nothing is asked while `q` and `labels` are empty. The last find stays until the next is there. */
export const useFoundChats = (q: string, labels: readonly string[]) =>
  useQuery({
    queryKey: keys.foundChats(q, labels),
    queryFn: () => listChats({ q: q || undefined, labels }),
    enabled: q !== "" || labels.length > 0,
    placeholderData: (before) => before,
    staleTime: SEARCH_FRESH_MS,
  });

/** One chat, from the list if it is there. */
export function useChat(chatId: string): Chat | undefined {
  const { data: chats } = useChats();
  const known = chats?.flatMap((chat) => [chat, ...chat.children]).find((chat) => chat.id === chatId);
  const { data: asked } = useQuery({ queryKey: keys.chat(chatId), queryFn: () => getChat(chatId), enabled: chats !== undefined && known === undefined, retry: false });
  return known ?? asked;
}

export const useModels = () => useQuery({ queryKey: keys.models, queryFn: listModels, staleTime: MINUTE });
/** Only administrators may ask. */
export const useProviders = (enabled = true) => useQuery({ queryKey: keys.providers, queryFn: listProviders, staleTime: MINUTE, enabled });
export const useDetectedServers = () => useQuery({ queryKey: keys.detected, queryFn: detectServers, staleTime: 0, retry: false });
/** All users; only administrators may ask. */
export const useUsers = (enabled: boolean) => useQuery({ queryKey: keys.users, queryFn: listUsers, enabled });
export const useTokens = () => useQuery({ queryKey: keys.tokens, queryFn: listTokens });

export const organizationsQuery = queryOptions({ queryKey: keys.organizations, queryFn: getOrganizations, staleTime: Infinity });

export const homeOf = (organizations: readonly Organization[] | undefined): Organization | undefined =>
  organizations?.find((organization) => organization.is_default) ?? organizations?.[0];

/** The user's own; all, for administrators. */
export const useOrganizations = () => useQuery(organizationsQuery);
/** Where the user's chats belong. */
export const useOrganization = () => homeOf(useOrganizations().data);

interface ChoosableModels {
  models: ModelConfig[];
  /** Used when nothing is chosen. */
  fallback: ModelConfig | undefined;
  isLoaded: boolean;
  /** Nothing is known yet, and nothing has gone wrong. */
  isPending: boolean;
}

/** Models that can be chosen. */
export function useChoosableModels(): ChoosableModels {
  const { data, isPending } = useModels();
  const models = (data ?? []).filter((model) => model.enabled);
  return { models, fallback: models.find((model) => model.is_default) ?? models[0], isLoaded: data !== undefined, isPending };
}

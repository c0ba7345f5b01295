// What went through the compatible endpoints, as React hooks.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getBridgeSession, listBridgeClients, listBridgeModels, listBridgeSessions } from "@/api/bridge.ts";
import { keys } from "./keys.ts";
import { retryServed } from "./retryServed.ts";

const FRESH_MS = 15_000;
const VALUES_FRESH_MS = 60_000;

/** The last page stays until the next is there. */
export const useBridgeSessions = (q: string, offset: number) =>
  useQuery({ queryKey: keys.bridgeSessions(q, offset), queryFn: () => listBridgeSessions(q, offset), placeholderData: (before) => before, staleTime: FRESH_MS, retry: retryServed });

/** A session with its threads, page by page. `initiator` is empty for one's own. */
export const useBridgeSession = (id: string, initiator: string) =>
  useInfiniteQuery({
    queryKey: keys.bridgeSession(id, initiator),
    queryFn: ({ pageParam }) => getBridgeSession(id, initiator || undefined, pageParam || undefined),
    initialPageParam: "",
    getNextPageParam: (page) => (page.has_more ? page.threads.at(-1)?.id : undefined),
    staleTime: FRESH_MS,
    retry: retryServed,
  });

export const useBridgeModels = () => useQuery({ queryKey: keys.bridgeValues("models"), queryFn: listBridgeModels, staleTime: VALUES_FRESH_MS, retry: retryServed });
export const useBridgeClients = () => useQuery({ queryKey: keys.bridgeValues("clients"), queryFn: listBridgeClients, staleTime: VALUES_FRESH_MS, retry: retryServed });

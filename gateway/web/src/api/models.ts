// Providers (who answers) and model configurations (what can be chosen in a chat).
import { call } from "./client.ts";
import type { DetectedServer, ModelConfig, NewModelConfig, NewProvider, Provider, ProviderCheck, ProviderCheckResult, ProviderPatch, SealedKeys } from "./modelTypes.ts";

/** A live check may wait for a slow server before it has an answer. */
const CHECK_DEADLINE_MS = 60_000;

export const listProviders = () => call<Provider[]>("GET", "/ai/providers");
export const createProvider = (provider: NewProvider) => call<Provider>("POST", "/ai/providers", { body: provider });
export const patchProvider = (id: string, patch: ProviderPatch) => call<Provider>("PATCH", `/ai/providers/${id}`, { body: patch });
export const deleteProvider = (id: string) => call<void>("DELETE", `/ai/providers/${id}`);
/** Seals every stored key anew under the present key-encryption key. */
export const sealKeys = () => call<SealedKeys>("POST", "/ai/providers/rotate-key");
export const detectServers = () => call<DetectedServer[]>("GET", "/ai/providers/detect");
export const checkProvider = (check: ProviderCheck) =>
  call<ProviderCheckResult>("POST", "/ai/providers/test", { body: check, deadlineMs: CHECK_DEADLINE_MS });

export const listModels = () => call<ModelConfig[]>("GET", "/chats/model-configs");
export const createModel = (model: NewModelConfig) => call<ModelConfig>("POST", "/chats/model-configs", { body: model });
export const patchModel = (id: string, patch: Partial<NewModelConfig>) => call<ModelConfig>("PATCH", `/chats/model-configs/${id}`, { body: patch });
export const deleteModel = (id: string) => call<void>("DELETE", `/chats/model-configs/${id}`);

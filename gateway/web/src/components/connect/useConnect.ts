import { useQueryClient } from "@tanstack/react-query";
import { checkProvider, createModel, createProvider } from "@/api/models.ts";
import { ApiError } from "@/api/problem.ts";
import type { NewProvider, Provider } from "@/api/modelTypes.ts";
import { keys } from "@/data/keys.ts";
import { contextLimitFor, preferredModel } from "./presets.ts";

export interface Connectable {
  type: string;
  /** Lower-case letters, digits and dashes; a number is added when it is taken. */
  name: string;
  displayName: string;
  baseUrl?: string;
  apiKey?: string;
  model: string;
  /** What the model is called on screen; absent: as the provider calls it. */
  modelName?: string;
}

const MAX_NAMES = 20;

/** Makes a provider and its first model known to the server, after the server has been seen to accept them. */
export function useConnect() {
  const client = useQueryClient();
  const connect = async (wanted: Connectable): Promise<void> => {
    const provider = await createNamed({
      type: wanted.type,
      name: wanted.name,
      display_name: wanted.displayName,
      enabled: true,
      ...(wanted.baseUrl && { base_url: wanted.baseUrl }),
      ...(wanted.apiKey && { api_keys: [wanted.apiKey] }),
    });
    await createModel({
      ai_provider_id: provider.id,
      model: wanted.model,
      ...(wanted.modelName && { display_name: wanted.modelName }),
      context_limit: contextLimitFor(wanted.model),
      enabled: true,
      is_default: true,
    });
    await Promise.all([client.invalidateQueries({ queryKey: keys.providers }), client.invalidateQueries({ queryKey: keys.models })]);
  };
  /** For servers that need no key: look, then take the model that was wanted or the first. */
  const connectOpen = async (server: Omit<Connectable, "model">, preferred: readonly string[] = []): Promise<void> => {
    const check = await checkProvider({ type: server.type, ...(server.baseUrl && { base_url: server.baseUrl }) });
    if (!check.ok) throw new ApiError(0, check.message);
    const model = preferredModel(check.models, preferred);
    if (model === "") throw new ApiError(0, "The server answers but offers no model. Load one there, then try again.");
    await connect({ ...server, model });
  };
  return { connect, connectOpen };
}

async function createNamed(provider: NewProvider): Promise<Provider> {
  for (let n = 1; ; n += 1) {
    try {
      return await createProvider({ ...provider, name: n === 1 ? provider.name : `${provider.name}-${String(n)}` });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409) || n >= MAX_NAMES) throw error;
    }
  }
}

// Keys that users bring for a provider themselves.
import { call } from "./client.ts";

export interface OwnKey {
  provider: { id: string; type: string; name: string; display_name: string; enabled: boolean; deleted: boolean };
  has_user_api_key: boolean;
  /** The user may use the provider's key. */
  has_provider_api_key: boolean;
  /** This deployment and this provider take keys of users. */
  byok_enabled: boolean;
  /** Of the user's key; empty without one. */
  masked?: string;
}

const at = (providerId: string) => `/users/me/ai-provider-keys/${encodeURIComponent(providerId)}`;

export const listOwnKeys = () => call<OwnKey[]>("GET", "/users/me/ai-provider-keys");
/** Takes the place of one that is there. */
export const putOwnKey = (providerId: string, apiKey: string) => call<OwnKey>("PUT", at(providerId), { body: { api_key: apiKey } });
export const deleteOwnKey = (providerId: string) => call<void>("DELETE", at(providerId));

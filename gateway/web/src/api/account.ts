// Sign-in, first start, the user's own account and API tokens.
import { call } from "./client.ts";
import type { Organization, User } from "./types.ts";

export interface ApiToken {
  id: string;
  token_name: string;
  created_at: string;
  expires_at: string;
  last_used: string;
}

export const getMe = () => call<User>("GET", "/users/me");
export const getOrganizations = () => call<Organization[]>("GET", "/organizations");
export const getSetup = () => call<{ needs_setup: boolean }>("GET", "/setup");
export const exchangeSetupCode = (code: string) => call<void>("POST", "/setup", { body: { code } });
export const logout = () => call<void>("POST", "/users/logout");

/** `who` is a user name or an e-mail address. */
export function login(who: string, password: string): Promise<void> {
  const name = who.trim();
  return call("POST", "/users/login", { body: name.includes("@") ? { email: name, password } : { username: name, password } });
}

export function changePassword(oldPassword: string, password: string): Promise<void> {
  return call("PUT", "/users/me/password", { body: { old_password: oldPassword, password } });
}

const NANOSECONDS_PER_DAY = 86_400_000_000_000;

export const listTokens = () => call<ApiToken[] | null>("GET", "/users/me/keys/tokens").then((tokens) => tokens ?? []);
export const revokeToken = (id: string) => call<void>("DELETE", `/users/me/keys/${encodeURIComponent(id)}`);

/** The answer's `key` is shown once and never again. */
export function createToken(name: string, days: number): Promise<{ key: string }> {
  return call("POST", "/users/me/keys/tokens", { body: { token_name: name, lifetime: days * NANOSECONDS_PER_DAY, scope: "all" } });
}

// Credentials with which git in a user's chats comes to hosts.
import { call } from "./client.ts";

export interface GitCredential {
  /** With `:port` where it is not the usual one. */
  host: string;
  /** Empty where the token alone counts. */
  username: string;
  updated_at: string;
}

const at = (host: string) => `/users/me/git-credentials/${encodeURIComponent(host)}`;

export const listGitCredentials = () => call<GitCredential[]>("GET", "/users/me/git-credentials");
export const putGitCredential = (host: string, credential: { token: string; username: string }) => call<GitCredential>("PUT", at(host), { body: credential });
export const deleteGitCredential = (host: string) => call<void>("DELETE", at(host));

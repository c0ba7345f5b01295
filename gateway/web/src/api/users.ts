// Other people's accounts, for administrators.
import { call } from "./client.ts";
import type { User } from "./types.ts";

/** The role that makes an administrator. */
export const OWNER = "owner";

export interface NewUser {
  username: string;
  email: string;
  name: string;
  password: string;
  roles: string[];
}

const at = (id: string) => `/users/${encodeURIComponent(id)}`;

export const listUsers = () => call<{ users: User[] }>("GET", "/users").then(({ users }) => users);
export const createUser = (user: NewUser) => call<User>("POST", "/users", { body: user });
export const deleteUser = (id: string) => call<void>("DELETE", at(id));
export const suspendUser = (id: string) => call<User>("PUT", `${at(id)}/status/suspend`);
export const activateUser = (id: string) => call<User>("PUT", `${at(id)}/status/activate`);
/** Replaces all roles. */
export const setRoles = (id: string, roles: string[]) => call<User>("PUT", `${at(id)}/roles`, { body: { roles } });
export const setPasswordOf = (id: string, password: string) => call<void>("PUT", `${at(id)}/password`, { body: { old_password: "", password } });

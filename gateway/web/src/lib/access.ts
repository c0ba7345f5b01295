// Whose keys a provider is used with. Pure; the rules are the server's: there is some source of keys, and standing in needs both.

export interface Access {
  central_api_key_enabled: boolean;
  allow_user_api_key: boolean;
  allow_central_api_key_fallback: boolean;
}

/** With what an older server does not tell: only the provider's own keys. */
export function accessOf(provider: Partial<Access>): Access {
  const { central_api_key_enabled = true, allow_user_api_key = false, allow_central_api_key_fallback = false } = provider;
  return { central_api_key_enabled, allow_user_api_key, allow_central_api_key_fallback };
}

/** Everything that has to change with one thing; `null` where that would leave no keys at all. */
export function changeAccess(access: Access, change: Partial<Access>): Partial<Access> | null {
  const next = { ...access, ...change };
  if (!next.central_api_key_enabled && !next.allow_user_api_key) return null;
  const hasBoth = next.central_api_key_enabled && next.allow_user_api_key;
  return next.allow_central_api_key_fallback && !hasBoth ? { ...change, allow_central_api_key_fallback: false } : change;
}

/** What holds, in a sentence. */
export function accessText({ central_api_key_enabled, allow_user_api_key, allow_central_api_key_fallback }: Access): string {
  if (!allow_user_api_key) return "Everybody uses the keys above.";
  if (!central_api_key_enabled) return "Only who brings a key of their own can use it. The keys above are not used.";
  return allow_central_api_key_fallback ? "Who brings a key of their own uses that, everybody else the keys above." : "Only who brings a key of their own can use it, until others may use the keys above.";
}

import { describe, expect, it } from "vitest";
import { type Access, accessOf, accessText, changeAccess } from "./access.ts";

const access = (central: boolean, user: boolean, fallback: boolean): Access => ({ central_api_key_enabled: central, allow_user_api_key: user, allow_central_api_key_fallback: fallback });

describe("whose keys a provider is used with", () => {
  it("is the provider's own where the server does not say", () => {
    expect(accessOf({})).toEqual(access(true, false, false));
  });

  it("changes one thing at a time, and takes along what cannot stay", () => {
    expect(changeAccess(access(true, false, false), { allow_user_api_key: true })).toEqual({ allow_user_api_key: true });
    expect(changeAccess(access(true, true, true), { central_api_key_enabled: false })).toEqual({ central_api_key_enabled: false, allow_central_api_key_fallback: false });
    expect(changeAccess(access(true, true, true), { allow_user_api_key: false })).toEqual({ allow_user_api_key: false, allow_central_api_key_fallback: false });
  });

  it("never ends with no keys at all", () => {
    expect(changeAccess(access(true, false, false), { central_api_key_enabled: false })).toBeNull();
    expect(changeAccess(access(false, true, false), { allow_user_api_key: false })).toBeNull();
  });

  it("is told in a sentence for each case", () => {
    const all = [access(true, false, false), access(false, true, false), access(true, true, false), access(true, true, true)].map(accessText);
    expect(new Set(all).size).toBe(4);
  });
});

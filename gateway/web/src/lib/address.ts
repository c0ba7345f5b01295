// Addresses of servers as people type them. Pure.

export const withoutSlash = (address: string): string => address.trim().replace(/\/+$/, "");

/** Host and port of an absolute http(s) address; `null` for anything else. */
export function hostOf(address: string): string | null {
  try {
    const { protocol, host } = new URL(address);
    return (protocol === "http:" || protocol === "https:") && host !== "" ? host : null;
  } catch {
    return null;
  }
}

export const isWebAddress = (address: string): boolean => hostOf(address) !== null;

// Which addresses from untrusted text may become links or images. Pure.

const SAFE_SCHEMES = new Set(["http:", "https:", "mailto:"]);

/** The address, if following it can do no harm; else `null`. */
export function safeHref(href: string | undefined): string | null {
  if (href === undefined || href.trim() === "") return null;
  try {
    const url = new URL(href, "https://relative.invalid/");
    if (url.hostname === "relative.invalid") return href.startsWith("#") ? href : null;
    return SAFE_SCHEMES.has(url.protocol) ? url.toString() : null;
  } catch {
    return null;
  }
}

/** Images are shown only from our own origin: anything else would tell a stranger who reads what. */
export function isOwnImage(src: string, origin: string): boolean {
  try {
    const url = new URL(src, origin);
    return url.origin === origin && url.pathname.startsWith("/api/");
  } catch {
    return false;
  }
}

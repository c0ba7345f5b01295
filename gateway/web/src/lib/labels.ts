// Labels of chats: short `key:value` pairs with the server's bounds. Pure.

export const MAX_LABELS = 50;
const MAX_KEY_BYTES = 64;
const MAX_VALUE_BYTES = 256;
const KEY = /^[a-zA-Z0-9][a-zA-Z0-9._/-]*$/;

export type Labels = Readonly<Record<string, string>>;

export interface Label {
  key: string;
  value: string;
}

/** The label, or what is wrong with it. Key and value are parted by the first colon or equals sign. */
export function readLabel(text: string): Label | { problem: string } {
  const at = text.search(/[:=]/);
  const key = (at < 0 ? text : text.slice(0, at)).trim();
  const value = at < 0 ? "" : text.slice(at + 1).trim();
  if (at < 0 || key === "" || value === "") return { problem: "Write a key and a value, such as team: storage" };
  if (!KEY.test(key)) return { problem: "A key is made of letters, digits and . _ / - and begins with a letter or digit." };
  if (bytes(key) > MAX_KEY_BYTES) return { problem: `A key has at most ${String(MAX_KEY_BYTES)} characters.` };
  if (bytes(value) > MAX_VALUE_BYTES) return { problem: `A value has at most ${String(MAX_VALUE_BYTES)} bytes.` };
  return { key, value };
}

/** All labels in the order of their keys. */
export function labelsOf(labels: Labels | undefined): Label[] {
  return Object.entries(labels ?? {})
    .map(([key, value]) => ({ key, value }))
    .toSorted((a, b) => a.key.localeCompare(b.key));
}

/** The word that finds chats with this label. */
export function labelTerm({ key, value }: Label): string {
  return /\s/.test(value) ? `label:"${key}:${value}"` : `label:${key}:${value}`;
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

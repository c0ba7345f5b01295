// Short messages about things that happened elsewhere than where the reader looks. A small store; the page shows it once.

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "danger";
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 6_000;
const MAX_TOASTS = 3;

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

/** Returns what `dismiss` takes it away by. */
export function toast(text: string, options: { tone?: Toast["tone"]; action?: Toast["action"] } = {}): number {
  const entry: Toast = { id: nextId, text, tone: options.tone ?? "info", ...(options.action && { action: options.action }) };
  nextId += 1;
  publish([...toasts.filter((t) => t.text !== text), entry].slice(-MAX_TOASTS));
  setTimeout(() => dismiss(entry.id), SHOWN_MS);
  return entry.id;
}

export function dismiss(id: number): void {
  publish(toasts.filter((t) => t.id !== id));
}

export const currentToasts = (): readonly Toast[] => toasts;

export function onToasts(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function publish(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

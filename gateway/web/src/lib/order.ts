// The order of things that people move. Pure.

/** `items` with the one at `from` moved to `to`; places outside of the list are cut to it. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const target = Math.max(0, Math.min(to, items.length - 1));
  const item = items[from];
  if (item === undefined || target === from) return [...items];
  return items.toSpliced(from, 1).toSpliced(target, 0, item);
}

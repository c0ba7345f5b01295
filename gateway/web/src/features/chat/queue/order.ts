// The order of waiting messages while the reader moves one, before the server has confirmed it. Pure.

/** `items` in the wished order. What is gone is left out; what the wish does not know keeps its place behind the rest. */
export function inOrder<T extends { id: number }>(items: readonly T[], wished: readonly number[] | null): readonly T[] {
  if (wished === null) return items;
  const place = new Map(wished.map((id, index) => [id, index]));
  return items.toSorted((a, b) => (place.get(a.id) ?? wished.length) - (place.get(b.id) ?? wished.length));
}

/** The place that a row dragged by `offset` pixels belongs to: where its middle lies among rows of these heights. */
export function dropPlace(heights: readonly number[], from: number, offset: number): number {
  const tops = heights.map((_, index) => heights.slice(0, index).reduce((sum, height) => sum + height, 0));
  const middle = (tops[from] ?? 0) + (heights[from] ?? 0) / 2 + offset;
  const others = heights.flatMap((height, index) => (index === from ? [] : [(tops[index] ?? 0) + height / 2]));
  return others.filter((other, index) => (index < from ? middle >= other : middle > other)).length;
}

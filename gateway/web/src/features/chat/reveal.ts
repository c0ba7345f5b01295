/** Kept free above and below what is brought into view. */
const MARGIN_PX = 12;

interface Edges {
  top: number;
  bottom: number;
}

/** How far to scroll down so that `body` is seen, or as much of it as can be while its heading stays in the frame. */
export function stepTo(frame: Edges, heading: Edges, body: Edges): number {
  const below = body.bottom - frame.bottom + MARGIN_PX;
  const room = heading.top - frame.top - MARGIN_PX;
  return Math.max(0, Math.min(below, room));
}

/** Brings what `opener` has opened into view, without taking `opener` out of it. */
export function reveal(box: HTMLElement, opener: Element): void {
  const body = document.getElementById(opener.getAttribute("aria-controls") ?? "") ?? opener.parentElement;
  if (!body) return;
  const top = stepTo(box.getBoundingClientRect(), opener.getBoundingClientRect(), body.getBoundingClientRect());
  if (top > 0) box.scrollBy({ top });
}

// Walking by keyboard: through the chats of the list, or through the messages of the conversation that has the focus.

/** Below the upper edge by this much a message counts as the one being read. */
const EDGE_PX = 12;

/** `step` is 1 for the next, -1 for the one before. */
export function walk(step: 1 | -1): void {
  const log = document.activeElement?.closest<HTMLElement>("[role=log]");
  if (log) walkMessages(log, step);
  else walkChats(step);
}

function walkChats(step: 1 | -1): void {
  // A list that is slid out of view is no place for the focus.
  const links = [...document.querySelectorAll<HTMLElement>("[data-walk=chat]")].filter((link) => link.checkVisibility?.({ visibilityProperty: true }) ?? true);
  const focused = links.indexOf(document.activeElement as HTMLElement);
  const open = links.findIndex((link) => link.getAttribute("aria-current") === "page");
  const next = links[nextPlace(focused, open, step, links.length)];
  next?.focus();
  next?.scrollIntoView?.({ block: "nearest" });
}

/** Where a step leads: from the one with the focus; else to the one that is open; else to the first. Never beyond the ends. */
export function nextPlace(focused: number, open: number, step: 1 | -1, count: number): number {
  if (focused < 0) return Math.max(0, open);
  return Math.max(0, Math.min(focused + step, count - 1));
}

/** Messages that are far away are not on the page; then a page is turned instead. */
function walkMessages(log: HTMLElement, step: 1 | -1): void {
  const top = log.getBoundingClientRect().top;
  const distances = [...log.querySelectorAll("[data-walk=message]")].map((message) => message.getBoundingClientRect().top - top - EDGE_PX);
  const wanted = step > 0 ? distances.find((distance) => distance > EDGE_PX) : distances.findLast((distance) => distance < -EDGE_PX);
  log.scrollBy({ top: wanted ?? step * log.clientHeight * 0.8 });
}

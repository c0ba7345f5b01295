/** The composer's textarea carries this id, so that shortcuts anywhere can go there. */
export const COMPOSER_ID = "composer";
export const SEARCH_ID = "chat-search";

export function focusById(id: string): void {
  document.getElementById(id)?.focus();
}

/** Focuses what will be on the page once it has been drawn again: a row that moves is a new element. */
export function focusSoon(selector: string): void {
  whenDrawn(() => document.querySelector<HTMLElement>(selector)?.focus({ preventScroll: true }));
}

/**
 * Gives the focus to the composer after something is done: sent, stopped, given up. A reader who has meanwhile gone elsewhere is
 * left there, and on a touch screen, where focus would raise the keyboard over what is to be read, nothing happens.
 */
export function returnToComposer(): void {
  if (!window.matchMedia("(pointer: fine)").matches) return;
  const before = document.activeElement;
  whenDrawn(() => {
    const now = document.activeElement;
    if (now === before || isNowhere(now)) document.getElementById(COMPOSER_ID)?.focus({ preventScroll: true });
  });
}

/** Gives the focus back to where it was before something took it, or to the composer if that is no longer there. */
export function giveFocusBack(to: Element | null): void {
  if (!isNowhere(document.activeElement)) return;
  if (to instanceof HTMLElement && to.isConnected && to !== document.body) to.focus({ preventScroll: true });
  if (isNowhere(document.activeElement)) returnToComposer();
}

/** A closed dialog may keep the focus until it is taken off the page. */
function isNowhere(element: Element | null): boolean {
  return element === null || element === document.body || element.matches(":disabled") || element.closest("dialog:not([open])") !== null;
}

/** After what was just changed is on the page. */
export function whenDrawn(run: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(run));
}

/** The composer's textarea carries this id, so that shortcuts anywhere can go there. */
export const COMPOSER_ID = "composer";
export const SEARCH_ID = "chat-search";

export function focusById(id: string): void {
  document.getElementById(id)?.focus();
}

/** Focuses what will be on the page once it has been drawn again: a row that moves is a new element. */
export function focusSoon(selector: string): void {
  requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus({ preventScroll: true })));
}

/** The composer's textarea carries this id, so that shortcuts anywhere can go there. */
export const COMPOSER_ID = "composer";
export const SEARCH_ID = "chat-search";

export function focusById(id: string): void {
  document.getElementById(id)?.focus();
}

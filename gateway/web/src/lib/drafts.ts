// Text that was typed but not yet sent, kept per chat in this browser until the server has it.

const PREFIX = "tandem.draft.";
/** The draft of the page that starts a new chat. */
export const NEW_CHAT = "new";

export function readDraft(chatId: string): string {
  try {
    return localStorage.getItem(PREFIX + chatId) ?? "";
  } catch {
    return "";
  }
}

export function writeDraft(chatId: string, text: string): void {
  try {
    if (text === "") localStorage.removeItem(PREFIX + chatId);
    else localStorage.setItem(PREFIX + chatId, text);
  } catch {
    // Storage may be full or forbidden: the text still stands in the composer.
  }
}

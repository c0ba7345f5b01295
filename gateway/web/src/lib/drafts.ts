// Text that was typed but not yet sent, and what was attached to it, kept per chat in this browser until the server has it.

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

/** An uploaded file that waits for its message. */
export interface DraftFile {
  fileId: string;
  name: string;
  isImage: boolean;
}

const FILES_PREFIX = "tandem.draft-files.";

export function readDraftFiles(chatId: string): DraftFile[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(FILES_PREFIX + chatId) ?? "[]");
    return Array.isArray(value) ? value.filter(isDraftFile) : [];
  } catch {
    return [];
  }
}

export function writeDraftFiles(chatId: string, files: readonly DraftFile[]): void {
  try {
    if (files.length === 0) localStorage.removeItem(FILES_PREFIX + chatId);
    else localStorage.setItem(FILES_PREFIX + chatId, JSON.stringify(files));
  } catch {
    // As above.
  }
}

function isDraftFile(value: unknown): value is DraftFile {
  if (typeof value !== "object" || value === null) return false;
  const file = value as Partial<DraftFile>;
  return typeof file.fileId === "string" && typeof file.name === "string" && typeof file.isImage === "boolean";
}

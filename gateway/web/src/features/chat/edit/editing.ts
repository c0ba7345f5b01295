import { createContext, useContext } from "react";
import type { InputPart } from "@/api/types.ts";

/** Editing of a message that was sent: at most one at a time. */
export interface Editing {
  /** The message being edited. */
  messageId: number | null;
  /** Absent when messages of this chat cannot be edited. */
  begin?: (messageId: number) => void;
  cancel: () => void;
  /** What saving takes away, as a sentence. */
  consequence: string;
  save: (messageId: number, content: InputPart[], modelId: string, key: string) => Promise<void>;
}

export const EditingContext = createContext<Editing>({
  messageId: null,
  cancel: () => undefined,
  consequence: "",
  save: async () => undefined,
});
export const useEditing = () => useContext(EditingContext);

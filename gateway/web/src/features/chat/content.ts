import type { InputPart, MessagePart } from "@/api/types.ts";

/** What a person wrote and attached, as the server takes it. */
export function toContent(text: string, fileIds: readonly string[]): InputPart[] {
  const files = fileIds.map((file_id): InputPart => ({ type: "file", file_id }));
  return text === "" ? files : [{ type: "text", text }, ...files];
}

/** What stands in a message, in the form in which it can be sent again. */
export function inputOf(parts: readonly MessagePart[] | null | undefined): InputPart[] {
  return (parts ?? []).flatMap((part): InputPart[] => {
    if (part.type === "text" && part.text.trim() !== "") return [{ type: "text", text: part.text }];
    if (part.type === "file-reference") {
      const { type, file_name, start_line, end_line, content } = part;
      return [{ type, file_name, start_line, end_line, content }];
    }
    return part.type === "file" && part.file_id ? [{ type: "file", file_id: part.file_id }] : [];
  });
}

/** The same message with other words; what was attached stays. */
export function reworded(parts: readonly MessagePart[] | null | undefined, text: string, keepsFile: (fileId: string) => boolean = () => true): InputPart[] {
  const rest = inputOf(parts).filter((part) => part.type !== "text" && (part.type !== "file" || keepsFile(part.file_id)));
  return text === "" ? rest : [{ type: "text", text }, ...rest];
}

/** The words of a message. */
export function wordsOf(parts: readonly MessagePart[] | null | undefined): string {
  return (parts ?? []).flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n\n");
}

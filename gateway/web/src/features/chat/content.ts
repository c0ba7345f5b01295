import type { InputPart } from "@/api/types.ts";

/** What a person wrote and attached, as the server takes it. */
export function toContent(text: string, fileIds: readonly string[]): InputPart[] {
  const files = fileIds.map((file_id): InputPart => ({ type: "file", file_id }));
  return text === "" ? files : [{ type: "text", text }, ...files];
}

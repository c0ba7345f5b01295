import { useState } from "react";
import { MAX_FILE_BYTES, uploadFile } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";

export interface Attachment {
  id: number;
  name: string;
  /** An object URL for a picture of it; empty when it is no image. */
  preview: string;
  state: "uploading" | "ready" | "failed";
  fileId: string;
  problem: string;
}

export interface Attachments {
  items: readonly Attachment[];
  /** Something is still on its way. */
  isBusy: boolean;
  fileIds: readonly string[];
  add: (files: readonly File[]) => void;
  remove: (id: number) => void;
  clear: () => void;
}

let nextId = 1;

/** Files chosen for the next message, uploaded as soon as they are chosen. */
export function useAttachments(organizationId: string | undefined): Attachments {
  const [items, setItems] = useState<readonly Attachment[]>([]);
  const patch = (id: number, change: Partial<Attachment>) => setItems((all) => all.map((item) => (item.id === id ? { ...item, ...change } : item)));

  const upload = async (id: number, file: File) => {
    if (file.size > MAX_FILE_BYTES) return patch(id, { state: "failed", problem: `Larger than ${String(MAX_FILE_BYTES / 1_048_576)} MB.` });
    if (organizationId === undefined) return patch(id, { state: "failed", problem: "Not ready yet." });
    try {
      const uploaded = await uploadFile(organizationId, file);
      patch(id, { state: "ready", fileId: uploaded.id });
    } catch (error) {
      patch(id, { state: "failed", problem: describe(error) });
    }
  };
  const add = (files: readonly File[]) => {
    for (const file of files) {
      const id = nextId++;
      const preview = file.type.startsWith("image/") ? URL.createObjectURL(file) : "";
      setItems((all) => [...all, { id, name: file.name, preview, state: "uploading", fileId: "", problem: "" }]);
      void upload(id, file);
    }
  };
  const release = (item: Attachment) => item.preview && URL.revokeObjectURL(item.preview);
  return {
    items,
    isBusy: items.some((item) => item.state === "uploading"),
    fileIds: items.flatMap((item) => (item.state === "ready" ? [item.fileId] : [])),
    add,
    remove: (id) =>
      setItems((all) => {
        all.filter((item) => item.id === id).forEach(release);
        return all.filter((item) => item.id !== id);
      }),
    clear: () =>
      setItems((all) => {
        all.forEach(release);
        return [];
      }),
  };
}

import { useState } from "react";
import { fileUrl, MAX_FILE_BYTES, uploadFile } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import { readDraftFiles, writeDraftFiles } from "@/lib/drafts.ts";
import { downscale, type Scaled } from "@/lib/image.ts";

export interface Attachment {
  id: number;
  name: string;
  /** The address of a picture of it; empty when it is no image. */
  preview: string;
  state: "preparing" | "uploading" | "ready" | "failed";
  fileId: string;
  /** What was done to it, for people. */
  note: string;
  problem: string;
  /** What to upload again; absent for what was uploaded before the page was loaded. */
  file: File | null;
}

export interface Attachments {
  items: readonly Attachment[];
  /** Something is still on its way. */
  isBusy: boolean;
  fileIds: readonly string[];
  add: (files: readonly File[]) => void;
  retry: (id: number) => void;
  remove: (id: number) => void;
  clear: () => void;
}

/** Files of one message: what a chat takes. */
export const MAX_FILES = 20;

let nextId = 1;

/** Files chosen for the next message: pictures are scaled down, and all are uploaded as soon as they are chosen. */
export function useAttachments(organizationId: string | undefined, draftKey: string): Attachments {
  const [items, setItems] = useState<readonly Attachment[]>(() => readDraftFiles(draftKey).map(fromDraft));
  const update = (change: (all: readonly Attachment[]) => readonly Attachment[]) =>
    setItems((all) => {
      const next = change(all);
      writeDraftFiles(draftKey, next.flatMap(toDraft));
      return next;
    });
  const patch = (id: number, change: Partial<Attachment>) => update((all) => all.map((item) => (item.id === id ? { ...item, ...change } : item)));

  const upload = async (id: number, original: File) => {
    if (organizationId === undefined) return patch(id, { state: "failed", problem: "Not ready yet." });
    patch(id, { state: "preparing", problem: "" });
    const scaled = await downscale(original);
    if (scaled.file.size > MAX_FILE_BYTES) return patch(id, { state: "failed", problem: `Larger than ${String(MAX_FILE_BYTES / 1_048_576)} MB.`, file: null });
    patch(id, { state: "uploading", note: noteOf(scaled), name: scaled.file.name });
    try {
      const uploaded = await uploadFile(organizationId, scaled.file);
      patch(id, { state: "ready", fileId: uploaded.id, file: null });
    } catch (error) {
      patch(id, { state: "failed", problem: describe(error) });
    }
  };
  const add = (files: readonly File[]) => {
    for (const file of files.slice(0, MAX_FILES - items.length)) {
      const id = nextId++;
      const preview = file.type.startsWith("image/") ? URL.createObjectURL(file) : "";
      update((all) => [...all, { id, name: file.name, preview, state: "preparing", fileId: "", note: "", problem: "", file }]);
      void upload(id, file);
    }
  };
  return {
    items,
    isBusy: items.some((item) => item.state === "uploading" || item.state === "preparing"),
    fileIds: items.flatMap((item) => (item.state === "ready" ? [item.fileId] : [])),
    add,
    retry: (id) => {
      const file = items.find((item) => item.id === id)?.file;
      if (file) void upload(id, file);
    },
    remove: (id) => {
      items.filter((item) => item.id === id).forEach(release);
      update((all) => all.filter((item) => item.id !== id));
    },
    clear: () => {
      items.forEach(release);
      update(() => []);
    },
  };
}

function release(item: Attachment): void {
  if (item.preview.startsWith("blob:")) URL.revokeObjectURL(item.preview);
}

function noteOf({ change }: Scaled): string {
  return change === null ? "" : `Scaled to ${String(change.to.width)} × ${String(change.to.height)}`;
}

function toDraft(item: Attachment) {
  return item.state === "ready" ? [{ fileId: item.fileId, name: item.name, isImage: item.preview !== "" }] : [];
}

function fromDraft(file: ReturnType<typeof readDraftFiles>[number]): Attachment {
  const { fileId, name, isImage } = file;
  return { id: nextId++, name, preview: isImage ? fileUrl(fileId) : "", state: "ready", fileId, note: "", problem: "", file: null };
}

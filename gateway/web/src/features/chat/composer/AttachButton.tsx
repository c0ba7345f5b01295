import { Paperclip } from "lucide-react";
import { useRef } from "react";
import { IconButton } from "@/components/IconButton.tsx";

const ACCEPTED =
  "image/png,image/jpeg,image/gif,image/webp,application/pdf,application/json,text/plain,text/markdown,text/csv,.md,.csv,.json,.txt,.log";

export function AttachButton({ onFiles }: { onFiles: (files: readonly File[]) => void }) {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        aria-label="Choose files"
        accept={ACCEPTED}
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <IconButton label="Attach files" tipSide="top" onClick={() => picker.current?.click()}>
        <Paperclip size={16} />
      </IconButton>
    </>
  );
}

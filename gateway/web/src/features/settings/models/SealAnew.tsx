import { useState } from "react";
import { sealKeys } from "@/api/models.ts";
import type { SealedKeys } from "@/api/modelTypes.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { keys } from "@/data/keys.ts";
import { useChange } from "../useChange.ts";

/** The last step of changing the key-encryption key: all stored keys come under the present one. */
export function SealAnew() {
  const { busy, run } = useChange(keys.providerHealth);
  const [done, setDone] = useState<SealedKeys | null>(null);
  return (
    <div className="mt-3 space-y-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="min-w-0 flex-1 basis-60 text-sm text-muted">After the key-encryption key of this server has changed, bring all stored keys under the new one.</p>
        <Button busy={busy} onClick={() => void run(async () => setDone(await sealKeys()))}>
          Seal keys anew
        </Button>
      </div>
      {done ? <Notice tone={done.unreadable > 0 ? "danger" : "ok"} title={sealedText(done)} /> : null}
    </div>
  );
}

function sealedText({ resealed, current, unreadable }: SealedKeys): string {
  const parts = [resealed > 0 ? `${String(resealed)} sealed anew` : "", current > 0 ? `${String(current)} under the present key already` : "", unreadable > 0 ? `${String(unreadable)} cannot be opened: enter them again` : ""];
  return parts.filter(Boolean).join(" · ") || "No keys are stored";
}

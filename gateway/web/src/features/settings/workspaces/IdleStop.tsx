import { type FormEvent, useState } from "react";
import { patchWorkspace, type Workspace } from "@/api/workspaces.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { exactTime } from "@/lib/time.ts";
import { hoursText, ttlOf } from "@/lib/workspace.ts";
import { Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";

/** After how long a workspace that nobody uses is stopped. */
export function IdleStop({ workspace }: { workspace: Workspace }) {
  const { busy, run } = useChange(keys.workspaces);
  const [hours, setHours] = useState(hoursText(workspace.ttl_ms));
  // Hours are shown rounded: what nobody changed stays to the millisecond.
  const ttl = hours === hoursText(workspace.ttl_ms) ? workspace.ttl_ms : ttlOf(hours);
  const isChanged = ttl !== workspace.ttl_ms;
  const save = async (event: FormEvent) => {
    event.preventDefault();
    if (ttl !== null && isChanged && (await run(() => patchWorkspace(workspace.id, { ttl_ms: ttl })))) toast("Saved");
  };
  return (
    <Section title="When nobody uses it">
      <form onSubmit={(event) => void save(event)} className="flex flex-wrap items-start gap-3">
        <Field
          label="Stop it after hours"
          className="w-60"
          inputMode="decimal"
          placeholder="never"
          value={hours}
          problem={ttl === null ? "A number from 0 to 720, or nothing." : undefined}
          hint={workspace.stops_at ? `Unless it is used: ${exactTime(workspace.stops_at)}.` : "Its files stay."}
          onChange={(event) => setHours(event.target.value)}
        />
        {isChanged ? (
          <Button type="submit" busy={busy} disabled={ttl === null} className="mt-[26px] h-10">
            Save
          </Button>
        ) : null}
      </form>
    </Section>
  );
}

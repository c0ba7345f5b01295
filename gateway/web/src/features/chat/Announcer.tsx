import { useState } from "react";
import type { Row } from "@/stream/timeline.ts";
import { type ChatView, isBusy } from "@/stream/view.ts";

/** What a screen reader hears: that the agent began, and its finished answer. Not every token. */
export function Announcer({ view, rows }: { view: ChatView; rows: readonly Row[] }) {
  const busy = isBusy(view.status);
  const [said, setSaid] = useState({ busy, text: "" });
  if (said.busy !== busy) setSaid({ busy, text: busy ? "The agent is working." : outcome(view, rows) });
  return (
    <div aria-live="polite" className="sr-only">
      {said.text}
    </div>
  );
}

function outcome(view: ChatView, rows: readonly Row[]): string {
  if (view.status === "error") return "The turn failed.";
  const answer = rows.findLast((row) => row.kind === "text");
  return answer?.kind === "text" ? answer.text : "The agent is done.";
}

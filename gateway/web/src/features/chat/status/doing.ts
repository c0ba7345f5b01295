// What the agent does right now, in a few words. Pure.
import type { Row } from "@/stream/timeline.ts";
import type { ChatView } from "@/stream/view.ts";
import { activity } from "../tools/summary.ts";

export function doing(view: ChatView, rows: readonly Row[]): string {
  if (view.status === "pending") return "Starting";
  const running = rows.filter((row) => row.kind === "tool" && (row.state === "running" || row.state === "writing"));
  const last = running.at(-1) ?? rows.at(-1);
  if (running.length > 1) return `Running ${String(running.length)} tools`;
  if (last?.kind === "tool" && running.length === 1) return activity(last);
  if (last?.kind === "reasoning" && last.isLive) return "Thinking";
  if (last?.kind === "text" && last.isLive) return "Writing";
  return "Working";
}

import { Link } from "@tanstack/react-router";
import type { SpentUp } from "@/api/problem.ts";
import { useNow } from "@/components/useNow.ts";
import { money } from "@/lib/money.ts";
import { untilText } from "@/lib/spans.ts";
import { exactTime } from "@/lib/time.ts";

const STEP_MS = 30_000;

/** Why nothing can be sent, and when it can be again. */
export function SpentUpText({ spentUp }: { spentUp: SpentUp }) {
  const now = useNow(STEP_MS);
  const isOver = Date.parse(spentUp.resetsAt) <= now;
  return (
    <>
      {money(spentUp.spentMicros)} of {money(spentUp.limitMicros)} are spent.{" "}
      {isOver ? "A new period has begun: send it again." : `The next period begins ${untilText(spentUp.resetsAt, now)}, on ${exactTime(spentUp.resetsAt)}. Until then an administrator can raise the limit.`}{" "}
      <Link to="/settings/usage" className="rounded-md text-ink underline underline-offset-2">
        See your usage
      </Link>
    </>
  );
}

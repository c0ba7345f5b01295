import type { UsageStatus } from "@/api/usage.ts";
import { useNow } from "@/components/useNow.ts";
import { classes } from "@/lib/classes.ts";
import { money } from "@/lib/money.ts";
import { untilText } from "@/lib/spans.ts";
import { exactTime } from "@/lib/time.ts";

const WARN_FROM = 0.8;
const STEP_MS = 60_000;
const PERIODS: Record<string, string> = { day: "today", week: "this week", month: "this month" };

/** How much of one's limit is spent, and when it starts anew. */
export function LimitMeter({ status }: { status: UsageStatus }) {
  const now = useNow(STEP_MS);
  const limit = status.spend_limit_micros ?? 0;
  if (!status.is_limited || limit <= 0) return <p className="text-sm text-muted">No limit is set for you. What you spend is only counted.</p>;
  const share = Math.min(1, status.current_spend / limit);
  const tone = share >= 1 ? "bg-danger" : share >= WARN_FROM ? "bg-warn" : "bg-accent";
  const when = PERIODS[status.period ?? ""] ?? "in this period";
  return (
    <div className="rounded-xl border border-line bg-raised px-4 py-3.5">
      <p className="flex flex-wrap items-baseline justify-between gap-x-3 text-sm">
        <span>
          <span className="text-[19px] font-semibold tabular-nums">{money(status.current_spend)}</span> <span className="text-muted">of {money(limit)} {when}</span>
        </span>
        <span className="text-muted" title={exactTime(status.period_end)}>
          starts anew {untilText(status.period_end, now)}
        </span>
      </p>
      <div
        role="meter"
        aria-label="Share of your limit that is spent"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={`${money(status.current_spend)} of ${money(limit)}`}
        className="mt-2.5 h-2 overflow-hidden rounded-full bg-selected"
      >
        <div className={classes("h-full rounded-full", tone)} style={{ width: `${String(share * 100)}%` }} />
      </div>
      {share >= 1 ? (
        <p className="mt-2.5 text-sm text-danger">Your limit is reached. Messages are refused until {exactTime(status.period_end)}; an administrator can raise it.</p>
      ) : null}
    </div>
  );
}

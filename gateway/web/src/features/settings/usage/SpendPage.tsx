import { Link } from "@tanstack/react-router";
import { describe, isNotServed } from "@/api/problem.ts";
import { Notice } from "@/components/Notice.tsx";
import { useIsAdministrator } from "@/data/queries.ts";
import { useUsageLimits } from "@/data/usage.ts";
import { Section } from "../Section.tsx";
import { NotCounted } from "./Costs.tsx";
import { GroupLimits } from "./GroupLimits.tsx";
import { LimitForm } from "./LimitForm.tsx";
import { Spenders } from "./Spenders.tsx";
import { UserLimits } from "./UserLimits.tsx";

/** Who spends what, and how much they may, for administrators. */
export function SpendPage() {
  const isAdministrator = useIsAdministrator();
  const { data: limits, error } = useUsageLimits(isAdministrator === true);
  if (isAdministrator === false) return <Notice tone="info" title="Only administrators see what others spend." />;
  if (error) return isNotServed(error) ? <NotCounted /> : <Notice tone="danger" title={describe(error)} />;
  if (!limits) return null;
  return (
    <>
      <Spenders />
      <Section title="Limit for everyone" text="What each person may spend in a period, by UTC. Who has reached it gets no more answers until the next one begins.">
        <LimitForm key={`${String(limits.spend_limit_micros)} ${limits.period}`} limits={limits} />
        {limits.unpriced_model_count > 0 ? (
          <div className="mt-4">
            <Notice tone="warn" title={limits.unpriced_model_count === 1 ? "1 model has no prices" : `${String(limits.unpriced_model_count)} models have no prices`}>
              What they answer costs nothing here, so no limit holds it.{" "}
              <Link to="/settings/models" className="rounded-md text-ink underline underline-offset-2">
                Set prices
              </Link>
            </Notice>
          </div>
        ) : null}
      </Section>
      <UserLimits limits={limits} />
      <GroupLimits limits={limits} />
    </>
  );
}

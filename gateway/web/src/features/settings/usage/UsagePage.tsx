import { isNotServed } from "@/api/problem.ts";
import { useUsageStatus } from "@/data/usage.ts";
import { Section } from "../Section.tsx";
import { Costs, NotCounted } from "./Costs.tsx";
import { LimitMeter } from "./LimitMeter.tsx";
import { RangePicker, useSpan } from "./RangePicker.tsx";

/** What oneself has spent, and how much one may. */
export function UsagePage() {
  const { data: status, error } = useUsageStatus();
  const choice = useSpan();
  if (error && isNotServed(error)) return <NotCounted />;
  return (
    <>
      {status ? (
        <Section title="Your limit">
          <LimitMeter status={status} />
        </Section>
      ) : null}
      <Section title="What you spent" action={<RangePicker choice={choice} />}>
        <Costs user="me" span={choice.span} linksChats />
      </Section>
    </>
  );
}

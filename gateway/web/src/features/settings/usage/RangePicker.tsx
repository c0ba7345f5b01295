import { useState } from "react";
import type { Span } from "@/api/usage.ts";
import { SelectField } from "@/components/SelectField.tsx";
import { lastDays, type Range, RANGES } from "@/lib/spans.ts";

const MONTH: Range = 30;

interface SpanChoice {
  days: Range;
  span: Span;
  setDays: (days: Range) => void;
}

/** The days that are looked at, the last of which is today. */
export function useSpan(): SpanChoice {
  const [days, setDays] = useState<Range>(MONTH);
  const [now] = useState(() => Date.now());
  return { days, setDays, span: lastDays(days, now) };
}

export function RangePicker({ choice }: { choice: SpanChoice }) {
  return (
    <SelectField label="Days" className="w-40 [&>label]:sr-only" value={choice.days} onChange={(event) => choice.setDays(Number(event.target.value) as Range)}>
      {RANGES.map((days) => (
        <option key={days} value={days}>
          Last {days} days
        </option>
      ))}
    </SelectField>
  );
}

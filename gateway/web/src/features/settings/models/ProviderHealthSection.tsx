import { describe, isNotServed } from "@/api/problem.ts";
import { useNow } from "@/components/useNow.ts";
import { useProviderHealth, useProvidersHealth } from "@/data/providers.ts";
import { breakerText, type Level, loadText, summarize } from "@/lib/providerHealth.ts";
import { LIST, Section } from "../Section.tsx";
import { HealthLine } from "./HealthLine.tsx";

const STEP_MS = 10_000;
const LEVELS: Record<string, Level> = { open: "failing", half_open: "degraded", closed: "healthy" };

interface ProviderHealthSectionProps {
  providerId: string;
  /** Those that can be chosen, as the provider calls them. */
  models: readonly string[];
}

/** How a provider does at this moment; nothing where the server does not know such a thing. */
export function ProviderHealthSection({ providerId, models }: ProviderHealthSectionProps) {
  const now = useNow(STEP_MS);
  const health = useProviderHealth(providerId);
  const { data, error } = useProvidersHealth();
  if (!health) {
    return error && !isNotServed(error) ? (
      <Section title="Health">
        <p className="text-sm text-muted">How it does cannot be told at the moment: {describe(error)}</p>
      </Section>
    ) : null;
  }
  const replica = data?.replica ?? "";
  const { level, word, reason } = summarize(health, models, now);
  const load = loadText(health);
  return (
    <Section title="Health" text={`As ${replica === "" ? "one replica" : `replica ${replica}`} sees it, every 10 seconds.`}>
      <div className={LIST}>
        <p className="px-4 py-3 text-sm">
          <HealthLine level={level} word={word}>
            {reason === "" ? " · nothing under way" : `: ${reason}${load === "" ? " · nothing under way" : ""}`}
          </HealthLine>
        </p>
        {health.breakers.length > 0 ? (
          <ul aria-label="Models with trouble" className="divide-y divide-line">
            {health.breakers.map((breaker) => (
              <li key={breaker.model} className="px-4 py-2.5 text-sm">
                <span className="block truncate font-medium">{breaker.model}</span>
                <HealthLine level={LEVELS[breaker.state] ?? "degraded"} word={breakerText(breaker, now)} className="text-xs" />
              </li>
            ))}
          </ul>
        ) : null}
      </div>
    </Section>
  );
}

import { SelectField } from "@/components/SelectField.tsx";
import { useBridgeClients, useBridgeModels } from "@/data/bridge.ts";
import { useIsAdministrator, useProviders, useUsers } from "@/data/queries.ts";
import type { SessionFilter } from "@/lib/bridgeQuery.ts";
import { providerName } from "@/lib/names.ts";

const SPANS: readonly (readonly [number, string])[] = [
  [0, "Any time"],
  [1, "Last hour"],
  [24, "Last 24 hours"],
  [24 * 7, "Last 7 days"],
  [24 * 30, "Last 30 days"],
];

type Options = readonly (readonly [value: string, name: string])[];
const same = (values: readonly string[] | undefined): Options => values?.map((value) => [value, value] as const) ?? [];

interface SessionFiltersProps {
  filter: SessionFilter;
  onChange: (filter: SessionFilter) => void;
}

/** Which sessions are looked at. Only administrators see those of others, and know the providers. */
export function SessionFilters({ filter, onChange }: SessionFiltersProps) {
  const isAdministrator = useIsAdministrator() === true;
  const clients = useBridgeClients();
  const models = useBridgeModels();
  const providers = useProviders(isAdministrator);
  const users = useUsers(isAdministrator);
  const pick = (label: string, key: "client" | "model" | "provider" | "user", all: string, options: Options) => (
    <SelectField label={label} value={filter[key]} onChange={(event) => onChange({ ...filter, [key]: event.target.value })}>
      <option value="">{all}</option>
      {options.map(([value, name]) => (
        <option key={value} value={value}>
          {name}
        </option>
      ))}
    </SelectField>
  );
  return (
    <div className="mb-4 grid grid-cols-2 gap-3 sm:grid-cols-3">
      {pick("Client", "client", "All", same(clients.data))}
      {pick("Model", "model", "All", same(models.data))}
      {isAdministrator ? pick("Provider", "provider", "All", providers.data?.map((provider) => [provider.name, providerName(provider)] as const) ?? []) : null}
      {isAdministrator ? pick("User", "user", "Everybody", users.data?.map((user) => [user.username, user.name || user.username] as const) ?? []) : null}
      <SelectField label="Started" value={filter.hours} onChange={(event) => onChange({ ...filter, hours: Number(event.target.value) })}>
        {SPANS.map(([hours, name]) => (
          <option key={hours} value={hours}>
            {name}
          </option>
        ))}
      </SelectField>
    </div>
  );
}

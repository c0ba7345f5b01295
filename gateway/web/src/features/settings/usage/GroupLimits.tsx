import type { UsageLimits } from "@/api/usage.ts";
import { limitText } from "@/lib/money.ts";
import { LIST, Section } from "../Section.tsx";

/** Limits of organizations, the only groups there are. They are set over the API. */
export function GroupLimits({ limits }: { limits: UsageLimits }) {
  return (
    <Section title="Organizations" text="For each member, counting what they spend in it. It goes before the limit for everyone.">
      <ul className={LIST}>
        {limits.group_overrides.map((group) => (
          <li key={group.group_id} className="flex items-center justify-between gap-3 px-4 py-2.5 text-sm">
            <span className="min-w-0">
              <span className="block truncate font-medium">{group.group_display_name || group.group_name}</span>
              <span className="block text-xs text-faint">{group.member_count === 1 ? "1 member" : `${String(group.member_count)} members`}</span>
            </span>
            <span className="shrink-0 tabular-nums">{limitText(group.spend_limit_micros)}</span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

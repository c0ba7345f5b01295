import { deleteGroupLimit, putGroupLimit, type UsageLimits } from "@/api/usage.ts";
import { useOrganizations } from "@/data/queries.ts";
import { LimitList } from "./LimitList.tsx";

/** Organizations whose members have another limit than everyone. */
export function GroupLimits({ limits }: { limits: UsageLimits }) {
  const { data: organizations } = useOrganizations();
  const others = organizations?.filter((organization) => !limits.group_overrides.some(({ group_id }) => group_id === organization.id));
  const hasNone = limits.spend_limit_micros === null;
  return (
    <LimitList
      title="Organizations"
      text="What each member may spend in it. It goes before the limit for everyone, and after a limit of one's own."
      what="Organization"
      addTitle="A limit for an organization"
      empty="None. Members have the limit for everyone."
      removed={(name) => `Members of ${name} have the limit of everyone again`}
      limits={limits.group_overrides.map((group) => ({
        id: group.group_id,
        name: group.group_display_name || group.group_name,
        text: group.member_count === 1 ? "1 member" : `${String(group.member_count)} members`,
        micros: group.spend_limit_micros ?? null,
      }))}
      others={others?.map((organization) => ({ id: organization.id, name: organization.display_name || organization.name }))}
      period={limits.period || "month"}
      hint={hasNone ? "For each member. Holds only once there is a limit for everyone." : "For each member."}
      put={putGroupLimit}
      remove={deleteGroupLimit}
    />
  );
}

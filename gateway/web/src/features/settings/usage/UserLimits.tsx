import { deleteUserLimit, putUserLimit, type UsageLimits } from "@/api/usage.ts";
import { useUsers } from "@/data/queries.ts";
import { LimitList } from "./LimitList.tsx";

/** People for whom another limit holds than for everyone. */
export function UserLimits({ limits }: { limits: UsageLimits }) {
  const { data: users } = useUsers(true);
  const others = users?.filter((user) => !limits.overrides.some(({ user_id }) => user_id === user.id));
  const hasNone = limits.spend_limit_micros === null;
  return (
    <LimitList
      title="Exceptions"
      text={hasNone ? "A limit of one's own goes before all others. While there is no limit for everyone, none of them holds." : "A limit of one's own goes before all others."}
      what="Person"
      addTitle="A limit for one person"
      empty="None. The limit for everyone holds for everybody."
      removed={(name) => `${name} has the limit of everyone again`}
      limits={limits.overrides.map((limit) => ({ id: limit.user_id, name: limit.name || limit.username, micros: limit.spend_limit_micros ?? null }))}
      others={others?.map((user) => ({ id: user.id, name: user.name ? `${user.name} (${user.username})` : user.username }))}
      period={limits.period || "month"}
      hint={hasNone ? "Holds only once there is a limit for everyone." : undefined}
      put={putUserLimit}
      remove={deleteUserLimit}
    />
  );
}

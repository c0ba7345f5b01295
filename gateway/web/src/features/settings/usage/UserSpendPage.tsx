import { useParams } from "@tanstack/react-router";
import { Notice } from "@/components/Notice.tsx";
import { useIsAdministrator, useUsers } from "@/data/queries.ts";
import { Section } from "../Section.tsx";
import { BackLink } from "../BackLink.tsx";
import { Costs } from "./Costs.tsx";
import { RangePicker, useSpan } from "./RangePicker.tsx";

/** What somebody else has spent, for administrators. */
export function UserSpendPage() {
  const { userId = "" } = useParams({ strict: false });
  const isAdministrator = useIsAdministrator();
  const { data: users } = useUsers(isAdministrator === true);
  const choice = useSpan();
  const user = users?.find(({ id }) => id === userId);
  if (isAdministrator === false) return <Notice tone="info" title="Only administrators see what others spend." />;
  return (
    <>
      <BackLink to="/settings/spend" text="Spend and limits" />
      <Section title={`What ${user ? user.name || user.username : "this person"} spent`} action={<RangePicker choice={choice} />}>
        {isAdministrator ? <Costs user={userId} span={choice.span} linksChats={false} /> : null}
      </Section>
    </>
  );
}

import { Link, useParams } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import { Notice } from "@/components/Notice.tsx";
import { useIsAdministrator, useUsers } from "@/data/queries.ts";
import { Section } from "../Section.tsx";
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
      <Link to="/settings/spend" className="mb-2 -ml-1.5 inline-flex items-center gap-1 rounded-md py-1 pr-2 pl-1 text-sm text-muted hover:bg-hover hover:text-ink touch:min-h-11">
        <ChevronLeft size={15} aria-hidden /> Spend and limits
      </Link>
      <Section title={`What ${user ? user.name || user.username : "this person"} spent`} action={<RangePicker choice={choice} />}>
        {isAdministrator ? <Costs user={userId} span={choice.span} linksChats={false} /> : null}
      </Section>
    </>
  );
}

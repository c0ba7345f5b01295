import { useParams, useSearch } from "@tanstack/react-router";
import { describe, isNotServed } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useBridgeSession } from "@/data/bridge.ts";
import { useMe } from "@/data/queries.ts";
import { count } from "@/lib/money.ts";
import { duration, exactTime } from "@/lib/time.ts";
import { Section } from "../Section.tsx";
import { BackLink } from "../BackLink.tsx";
import { clientName } from "./sessionText.ts";
import { ThreadCard } from "./ThreadCard.tsx";

/** One session: what was asked, what the model did about it, and what that used. */
export function SessionPage() {
  const { sessionId = "" } = useParams({ strict: false });
  const { initiator = "" } = useSearch({ strict: false });
  const { data: me } = useMe();
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage } = useBridgeSession(sessionId, initiator);
  const session = data?.pages[0];
  const threads = data?.pages.flatMap((page) => page.threads) ?? [];
  const back = <BackLink to="/settings/gateway" text="AI gateway" />;
  if (error && !session) {
    return (
      <>
        {back}
        {isNotServed(error) ? <p className="text-sm text-muted">There is no such session, or it is not yours to see.</p> : <Notice tone="danger" title={describe(error)} />}
      </>
    );
  }
  if (!session) return back;
  const used = session.token_usage_summary;
  const facts: [string, string][] = [
    ["Client", clientName(session.client)],
    ["User", session.initiator.id === me?.id ? "" : session.initiator.name || session.initiator.username],
    ["Started", exactTime(session.started_at)],
    ["Lasted", duration(Date.parse(session.ended_at) - Date.parse(session.started_at))],
    ["Providers", session.providers.join(", ")],
    ["Models", session.models.join(", ")],
    ["Tokens in", count(used.input_tokens)],
    ["From cache", count(used.cache_read_input_tokens)],
    ["To cache", count(used.cache_write_input_tokens)],
    ["Tokens out", count(used.output_tokens)],
  ];
  return (
    <>
      {back}
      <Section title={`Session of ${clientName(session.client)}`} text={session.id}>
        <dl className="flex flex-wrap gap-x-7 gap-y-2.5 text-sm">
          {facts.map(([name, value]) =>
            value === "" ? null : (
              <div key={name} className="min-w-0">
                <dt className="text-xs text-faint">{name}</dt>
                <dd className="tabular-nums wrap-anywhere">{value}</dd>
              </div>
            ),
          )}
        </dl>
      </Section>
      <Section title="Threads" text="Each from something a person wrote until the model was done with it; the oldest first.">
        <ol aria-label="Threads" className="space-y-4">
          {threads.map((thread) => <ThreadCard key={thread.id} thread={thread} />)}
        </ol>
        {error ? <Notice tone="danger" title={describe(error)} /> : null}
        {hasNextPage ? (
          <Button className="mt-4" busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Later threads
          </Button>
        ) : null}
      </Section>
    </>
  );
}

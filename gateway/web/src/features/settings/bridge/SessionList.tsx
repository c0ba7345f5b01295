import type { UseQueryResult } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type BridgeSession, type BridgeSessions, SESSIONS_PER_PAGE } from "@/api/bridge.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { useMe } from "@/data/queries.ts";
import { isFiltered, type SessionFilter } from "@/lib/bridgeQuery.ts";
import { LIST, Loading } from "../Section.tsx";
import { clientName, firstLine, tokensLine } from "./sessionText.ts";

interface SessionListProps {
  sessions: UseQueryResult<BridgeSessions>;
  filter: SessionFilter;
  offset: number;
  onTurn: (offset: number) => void;
  onClear: () => void;
}

/** Sessions, newest first, a page at a time. */
export function SessionList({ sessions: { data, error }, filter, offset, onTurn, onClear }: SessionListProps) {
  const { data: me } = useMe();
  if (error && data === undefined) return <Notice tone="danger" title={describe(error)} />;
  const total = data?.count ?? 0;
  const next = offset + SESSIONS_PER_PAGE;
  return (
    <>
      {error ? <Notice tone="danger" title={describe(error)} /> : null}
      <ul aria-label="Sessions" className={LIST}>
        {data?.sessions.map((session) => <SessionItem key={`${session.initiator.id} ${session.id}`} session={session} isMine={session.initiator.id === me?.id} />)}
        {data === undefined ? <Loading /> : null}
        {data?.sessions.length === 0 ? (
          <li className="px-4 py-4 text-sm text-muted">
            {isFiltered(filter) ? (
              <>
                Nothing of this kind.{" "}
                <button type="button" onClick={onClear} className="rounded-md text-accent underline underline-offset-2 touch:min-h-11">
                  Show everything
                </button>
              </>
            ) : (
              "No program has asked anything yet. Connect one above, and what it asks appears here as soon as it is answered."
            )}
          </li>
        ) : null}
      </ul>
      {total > SESSIONS_PER_PAGE ? (
        <div className="mt-3 flex flex-wrap items-center justify-between gap-3 text-sm text-muted">
          <span role="status">
            {offset + 1}–{Math.min(next, total)} of {total}
          </span>
          <span className="flex gap-2">
            <Button disabled={offset === 0} onClick={() => onTurn(Math.max(0, offset - SESSIONS_PER_PAGE))}>
              Newer
            </Button>
            <Button disabled={next >= total} onClick={() => onTurn(next)}>
              Older
            </Button>
          </span>
        </div>
      ) : null}
    </>
  );
}

function SessionItem({ session, isMine }: { session: BridgeSession; isMine: boolean }) {
  const { initiator } = session;
  const facts = [clientName(session.client), isMine ? "" : initiator.name || initiator.username, session.models.join(", "), session.threads === 1 ? "1 thread" : `${String(session.threads)} threads`, tokensLine(session.token_usage_summary)];
  return (
    <li className="first:rounded-t-xl last:rounded-b-xl hover:bg-hover">
      <Link
        to="/settings/gateway/$sessionId"
        params={{ sessionId: session.id }}
        search={isMine ? {} : { initiator: initiator.id }}
        className="block rounded-md px-4 py-2.5 -outline-offset-2 touch:min-h-14"
      >
        <span className="flex items-baseline justify-between gap-3 text-sm">
          <span className="min-w-0 truncate font-medium">{firstLine(session.last_prompt) || "Without a prompt"}</span>
          <RelativeTime iso={session.started_at} className="shrink-0 text-xs text-faint" />
        </span>
        <span className="block text-xs text-faint wrap-anywhere">{facts.filter(Boolean).join(" · ")}</span>
      </Link>
    </li>
  );
}

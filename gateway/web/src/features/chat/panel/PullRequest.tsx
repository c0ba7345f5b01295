import { GitPullRequest } from "lucide-react";
import type { DiffStatus } from "@/api/types.ts";
import { Badge } from "@/components/Badge.tsx";

/** The pull request of the branch a chat works on. */
export function PullRequest({ status }: { status: DiffStatus }) {
  const { pull_request_state: state, url } = status;
  if (state === undefined || url === undefined) return null;
  const review = status.changes_requested ? "changes requested" : status.approved ? "approved" : "";
  return (
    <section aria-label="Pull request" className="flex gap-3 rounded-md border border-line px-3.5 py-2.5 text-sm">
      <GitPullRequest size={16} className="mt-1 shrink-0 text-muted" aria-hidden />
      <div className="min-w-0 flex-1">
        <a href={url} target="_blank" rel="noopener noreferrer" className="rounded-md font-medium wrap-anywhere underline-offset-2 hover:underline">
          {status.pull_request_title || url}
        </a>
        <p className="flex flex-wrap items-center gap-x-2.5 gap-y-1 text-xs text-faint">
          {status.pr_number ? `#${String(status.pr_number)}` : null}
          <Badge text={status.pull_request_draft ? "draft" : state} look={state === "open" ? "accent" : "plain"} />
          {review === "" ? null : <Badge text={review} look={status.changes_requested ? "warn" : "plain"} />}
          {status.base_branch ? <span>into {status.base_branch}</span> : null}
          <span className="tabular-nums">
            <span className="text-add-ink">+{status.additions}</span> <span className="text-del-ink">−{status.deletions}</span>
          </span>
        </p>
      </div>
    </section>
  );
}

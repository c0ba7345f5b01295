import { GitBranch, GitPullRequest } from "lucide-react";
import type { Chat } from "@/api/types.ts";

/** On which branch a chat works, and the way to its pull request. */
export function BranchChip({ chat }: { chat: Chat }) {
  const { git_branch: branch, pull_request_state: state, pr_number: number, url } = chat.diff_status ?? {};
  if (!branch) return null;
  const look = "flex min-w-0 shrink items-center gap-1 rounded-md text-xs text-muted max-sm:hidden";
  if (state === undefined || url === undefined) {
    return (
      <span className={look} title={`Branch ${branch}`}>
        <GitBranch size={13} className="shrink-0" aria-hidden /> <span className="max-w-40 truncate">{branch}</span>
      </span>
    );
  }
  return (
    <a href={url} target="_blank" rel="noopener noreferrer" className={`${look} hover:text-ink`} title={`Pull request of ${branch}: ${state}`}>
      <GitPullRequest size={13} className="shrink-0" aria-hidden /> <span className="max-w-40 truncate">{number ? `#${String(number)} ${state}` : branch}</span>
    </a>
  );
}

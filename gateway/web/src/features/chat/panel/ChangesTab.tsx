import { GitBranch } from "lucide-react";
import { useMemo } from "react";
import type { Chat } from "@/api/types.ts";
import { Badge } from "@/components/Badge.tsx";
import { CopyButton } from "@/components/CopyButton.tsx";
import { Notice } from "@/components/Notice.tsx";
import { type FilePatch, splitPatch } from "@/lib/patch.ts";
import type { Repository } from "@/stream/git.ts";
import type { Row } from "@/stream/timeline.ts";
import { FileDiff } from "../FileDiff.tsx";
import { editsOf } from "./edits.ts";
import { PullRequest } from "./PullRequest.tsx";
import { useGit } from "./useGit.ts";

interface ChangesTabProps {
  chat: Chat;
  rows: readonly Row[];
}

/** What stands in the repositories against their last commit; without repositories, what the agent's own edits were. */
export function ChangesTab({ chat, rows }: ChangesTabProps) {
  const git = useGit(chat);
  const repositories = git?.repositories ?? [];
  return (
    <div className="space-y-6">
      {chat.diff_status ? <PullRequest status={chat.diff_status} /> : null}
      {git && git.problem !== "" ? <Notice tone="warn">{git.problem}</Notice> : null}
      {repositories.map((repository) => (
        <RepositoryChanges key={repository.root} repository={repository} />
      ))}
      {repositories.length === 0 ? <OwnEdits rows={rows} /> : null}
    </div>
  );
}

function RepositoryChanges({ repository: { root, branch, remote, diff } }: { repository: Repository }) {
  const files = useMemo(() => splitPatch(diff), [diff]);
  return (
    <section aria-label={root}>
      <div className="mb-2 flex items-center gap-2">
        <h3 className="min-w-0 flex-1 truncate font-mono text-[13px]" title={root}>
          {lastPart(root)}
        </h3>
        {branch === "" ? null : (
          <span className="inline-flex min-w-0 items-center gap-1 text-xs text-muted">
            <GitBranch size={13} className="shrink-0" aria-hidden />
            <span className="truncate">{branch}</span>
          </span>
        )}
        {files.length > 0 ? <CopyButton text={diff} label="Copy the patch" /> : null}
      </div>
      {remote === "" ? null : <p className="mb-2 truncate text-xs text-faint" title={remote}>
          from {remote.startsWith("/") ? lastPart(remote) : remote}
        </p>}
      {files.length > 0 ? (
        <div className="divide-y divide-line overflow-hidden rounded-md border border-line">
          {files.map((file) => (
            <FileDiff key={file.path} path={file.path} diff={file.text} note={<Became file={file} />} />
          ))}
        </div>
      ) : (
        <p className="text-sm text-muted">{diff === "" ? "Nothing has changed since the last commit." : diff}</p>
      )}
    </section>
  );
}

/** The name that a path ends with: what lies before it is the same for everything in a workspace. */
const lastPart = (path: string) => path.split("/").findLast(Boolean) ?? path;

const BECAME: Record<FilePatch["kind"], string> = { added: "new", removed: "removed", changed: "", binary: "binary" };

function Became({ file: { kind, movedFrom } }: { file: FilePatch }) {
  const text = movedFrom === null ? BECAME[kind] : "moved";
  return text === "" ? null : (
    <span title={movedFrom === null ? undefined : `from ${movedFrom}`}>
      <Badge text={text} />
    </span>
  );
}

/** Where there is no repository, the conversation itself knows what was edited. */
function OwnEdits({ rows }: { rows: readonly Row[] }) {
  const files = useMemo(() => editsOf(rows), [rows]);
  if (files.length === 0) {
    return <p className="text-sm text-muted">Nothing has been changed yet. Edits of the agent appear here, and all changes in repositories it works in.</p>;
  }
  return (
    <section aria-label="Edits in this chat" className="space-y-3">
      <p className="text-xs text-faint">Edits by tools of this chat. In a git repository you would see everything that differs from the last commit.</p>
      {files.map(({ path, diffs, written }) => (
        <div key={path} className="divide-y divide-line overflow-hidden rounded-md border border-line">
          {diffs.map((diff, index) => (
            // oxlint-disable-next-line react/no-array-index-key -- edits are only ever added
            <FileDiff key={index} path={path} diff={diff} />
          ))}
          {written > 0 ? (
            <p className="flex h-9 items-center gap-3 px-3.5 text-xs text-muted">
              <span className="min-w-0 flex-1 truncate font-mono">{path}</span>
              {written === 1 ? "written" : `written ${String(written)} times`}
            </p>
          ) : null}
        </div>
      ))}
    </section>
  );
}

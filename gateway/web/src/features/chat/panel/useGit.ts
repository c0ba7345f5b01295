import { useEffect, useState } from "react";
import type { Chat } from "@/api/types.ts";
import { type GitView, NOTHING_YET, watchGit } from "@/stream/git.ts";

/** The repositories a chat works in, as long as the component is on the page; `null` where there is no workspace to ask. */
export function useGit({ id, workspace_id: workspaceId, status }: Chat): GitView | null {
  const [view, setView] = useState<GitView>(NOTHING_YET);
  const hasWorkspace = workspaceId !== undefined;
  /** What the chat did when the present attempt began: an agent that was away may be there again when it does something else. */
  const [begunAt, setBegunAt] = useState(status);
  if (begunAt !== status && view.connection.phase === "closed" && view.connection.reason === "refused") setBegunAt(status);
  useEffect(() => {
    if (!hasWorkspace) return undefined;
    const stop = watchGit(id, setView);
    return () => {
      stop();
      setView((before) => ({ ...before, repositories: null }));
    };
  }, [id, hasWorkspace, begunAt]);
  return hasWorkspace ? view : null;
}

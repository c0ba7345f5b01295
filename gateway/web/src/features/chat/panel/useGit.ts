import { useEffect, useState } from "react";
import { type GitView, NOTHING_YET, watchGit } from "@/stream/git.ts";

/** The repositories a chat works in, as long as the component is on the page; `null` where there is no workspace to ask. */
export function useGit(chatId: string, hasWorkspace: boolean): GitView | null {
  const [view, setView] = useState<GitView>(NOTHING_YET);
  useEffect(() => {
    if (!hasWorkspace) return undefined;
    const stop = watchGit(chatId, setView);
    return () => {
      stop();
      setView(NOTHING_YET);
    };
  }, [chatId, hasWorkspace]);
  return hasWorkspace ? view : null;
}

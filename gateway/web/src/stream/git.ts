// The repositories a chat works in, followed over a socket: what has changed in them against their last commit.
import { socketUrl } from "@/api/client.ts";
import { list, open, str } from "@/lib/open.ts";
import { type Connection, ReconnectingSocket } from "./socket.ts";

export interface Repository {
  /** Absolute path of the working tree. */
  root: string;
  /** Empty when no branch is checked out. */
  branch: string;
  /** Empty when there is none. */
  remote: string;
  /** A patch, or a sentence why there is none. */
  diff: string;
}

export interface GitView {
  connection: Connection;
  /** By place; `null` until the first scan. */
  repositories: readonly Repository[] | null;
  /** What the workspace could not do; empty when nothing. */
  problem: string;
}

export const NOTHING_YET: GitView = { connection: { phase: "connecting" }, repositories: null, problem: "" };

/** After so many handshakes that fail in a row there is no agent to ask: it comes with the next tool. */
const MAX_FAILURES = 3;

/** What one frame changes. Frames tell only repositories that differ from what was told before. */
export function withFrame(view: GitView, text: string): GitView {
  let frame;
  try {
    frame = open(JSON.parse(text));
  } catch {
    return view;
  }
  if (frame["type"] === "error") return { ...view, problem: str(frame["message"]) || "The workspace could not say what changed." };
  if (frame["type"] !== "changes") return view;
  const known = new Map((view.repositories ?? []).map((one) => [one.root, one]));
  for (const told of list(frame["repositories"]).map(open)) {
    const root = str(told["repo_root"]);
    if (told["removed"] === true) known.delete(root);
    else if (root !== "") known.set(root, { root, branch: str(told["branch"]), remote: str(told["remote_origin"]), diff: str(told["unified_diff"]) });
  }
  return { ...view, problem: "", repositories: [...known.values()].toSorted((a, b) => (a.root < b.root ? -1 : 1)) };
}

/** Follows until the answer is called. */
export function watchGit(chatId: string, changed: (change: (view: GitView) => GitView) => void): () => void {
  const socket = new ReconnectingSocket({
    url: () => socketUrl(`/chats/${encodeURIComponent(chatId)}/stream/git`, { heartbeat: 1 }),
    // A new connection tells everything anew; what it does not tell is gone.
    opened: () => changed((view) => ({ ...view, repositories: null })),
    frame: (text) => {
      const isBeat = text.startsWith('{"type":"heartbeat"');
      if (!isBeat) changed((view) => withFrame(view, text));
      return isBeat;
    },
    changed: (connection) => changed((view) => ({ ...view, connection })),
    mayRetry: async (failures) => failures < MAX_FAILURES,
  });
  socket.start();
  return () => socket.stop();
}

import { Archive } from "lucide-react";
import { useState } from "react";
import { CHATS_PER_PAGE } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { useNow } from "@/components/useNow.ts";
import { groupChats } from "@/data/chatList.ts";
import { useArchivedChats, useChats } from "@/data/queries.ts";
import { ChatRow } from "./ChatRow.tsx";
import { FoundChats } from "./FoundChats.tsx";

const STEP_MS = 60_000;

export function ChatList({ openId, search }: { openId: string | null; search: string }) {
  const { data: chats, error, refetch } = useChats();
  const [showArchived, setShowArchived] = useState(false);
  const now = useNow(STEP_MS);
  if (error && !chats) {
    return (
      <div className="px-2 pt-4 text-sm text-muted">
        <p className="mb-2">{describe(error)}</p>
        <Button onClick={() => void refetch()}>Try again</Button>
      </div>
    );
  }
  if (!chats) return <Placeholder />;
  if (search.trim() !== "") return <FoundChats chats={chats} search={search} openId={openId} />;
  return (
    <>
      {chats.length === 0 ? <p className="px-2 pt-4 text-sm text-faint">No chats yet. What you start appears here, and goes on when you leave.</p> : null}
      {groupChats(chats, now).map((group) => (
        <section key={group.name} aria-label={group.name}>
          <h2 className="px-2 pt-4 pb-1 text-xs font-medium text-faint">{group.name}</h2>
          <ul>
            {group.chats.map((chat) => (
              <ChatRow key={chat.id} chat={chat} openId={openId} />
            ))}
          </ul>
        </section>
      ))}
      {chats.length >= CHATS_PER_PAGE ? <p className="px-2 pt-4 text-xs text-faint">Older chats are found by searching.</p> : null}
      <button
        type="button"
        aria-expanded={showArchived}
        onClick={() => setShowArchived(!showArchived)}
        className="mt-5 flex min-h-8 items-center gap-2 rounded-md px-2 text-xs text-faint hover:bg-hover hover:text-ink touch:min-h-11"
      >
        <Archive size={13} aria-hidden /> {showArchived ? "Hide archived chats" : "Archived chats"}
      </button>
      {showArchived ? <ArchivedChats openId={openId} /> : null}
    </>
  );
}

function ArchivedChats({ openId }: { openId: string | null }) {
  const { data: archived } = useArchivedChats(true);
  if (!archived) return <Placeholder />;
  return (
    <ul aria-label="Archived chats" className="mt-1">
      {archived.map((chat) => (
        <ChatRow key={chat.id} chat={chat} openId={openId} />
      ))}
      {archived.length === 0 ? <li className="px-2 py-1 text-sm text-faint">None.</li> : null}
    </ul>
  );
}

function Placeholder() {
  return (
    <div role="status" aria-label="Loading" className="space-y-2 px-2 pt-6">
      {[80, 62, 71].map((width) => (
        <div key={width} className="h-4 rounded bg-hover" style={{ width: `${String(width)}%` }} />
      ))}
    </div>
  );
}

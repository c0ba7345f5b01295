import { describe } from "@/api/problem.ts";
import type { Chat } from "@/api/types.ts";
import { Spinner } from "@/components/Spinner.tsx";
import { useSettled } from "@/components/useSettled.ts";
import { union, withWords } from "@/data/chatList.ts";
import { useFoundChats } from "@/data/queries.ts";
import { readSearch } from "@/lib/chatQuery.ts";
import { ChatRow } from "./ChatRow.tsx";

/** The server is asked once the reader pauses. */
const PAUSE_MS = 250;

interface FoundChatsProps {
  /** The list as it is: words are found in it at once. */
  chats: readonly Chat[];
  search: string;
  openId: string | null;
}

/** What a search finds: at once what is in the list, and what the server finds beyond it. */
export function FoundChats({ chats, search, openId }: FoundChatsProps) {
  const settled = useSettled(search, PAUSE_MS);
  const { words, isPlain } = readSearch(search);
  const asked = readSearch(settled);
  const { data, error, isFetching } = useFoundChats(asked.q, asked.labels);
  const isCurrent = settled === search;
  const beyond = isCurrent || !isPlain ? withWords(data ?? [], words) : [];
  const found = isPlain ? union(withWords(chats, words), beyond) : beyond;
  const isWaiting = !isCurrent || isFetching;
  return (
    <section aria-label="Found chats">
      <p role="status" className="flex items-center gap-2 px-2 pt-3 pb-1 text-xs text-faint">
        {isWaiting ? <Spinner size={12} /> : null}
        {error && isCurrent ? "" : summary(found.length, isWaiting)}
      </p>
      {error && isCurrent ? <p className="px-2 text-sm text-danger">{describe(error)}</p> : null}
      <ul>
        {found.map((chat) => (
          <ChatRow key={chat.id} chat={chat} openId={openId} />
        ))}
      </ul>
      {found.length === 0 && !isWaiting && !error ? (
        <p className="px-2 pt-1 text-sm text-faint">Archived chats are found with archived:true. The button in the field shows all filters.</p>
      ) : null}
    </section>
  );
}

function summary(count: number, isWaiting: boolean): string {
  if (count === 0) return isWaiting ? "Searching" : "No chat found";
  return count === 1 ? "1 chat" : `${String(count)} chats`;
}

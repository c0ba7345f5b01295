import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { USERS_PER_PAGE } from "@/api/usage.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useSettled } from "@/components/useSettled.ts";
import { useCostUsers } from "@/data/usage.ts";
import { Section } from "../Section.tsx";
import { Bars, ROW_LINK } from "./Bars.tsx";
import { RangePicker, useSpan } from "./RangePicker.tsx";

/** So that not every letter asks the server. */
const TYPING_MS = 250;

/** Everybody by what they spent, a page at a time. */
export function Spenders() {
  const choice = useSpan();
  const [words, setWords] = useState("");
  const [at, setAt] = useState({ words: "", offset: 0 });
  const sought = useSettled(words.trim(), TYPING_MS);
  // Other words begin at the first page.
  const offset = at.words === sought ? at.offset : 0;
  const { data, error } = useCostUsers(choice.span, sought, offset, true);
  const total = data?.count ?? 0;
  const isLong = total > USERS_PER_PAGE || sought !== "";
  return (
    <Section title="Who spends what" action={<RangePicker choice={choice} />}>
      {error ? <Notice tone="danger" title={describe(error)} /> : null}
      {isLong ? <Field label="Find a person" type="search" autoComplete="off" className="mb-4" value={words} onChange={(event) => setWords(event.target.value)} /> : null}
      {data && data.users.length > 0 ? (
        <Bars
          caption="Cost by person"
          what="Person"
          bars={data.users.map((user) => ({
            ...user,
            key: user.user_id,
            name: (
              <Link to="/settings/spend/$userId" params={{ userId: user.user_id }} className={ROW_LINK}>
                {user.name || user.username}
              </Link>
            ),
            text: user.chat_count === 1 ? "1 chat" : `${String(user.chat_count)} chats`,
          }))}
        />
      ) : null}
      {data?.users.length === 0 ? <p className="text-sm text-muted">{sought === "" ? "Nobody has spent anything in these days." : "Nobody of that name has spent anything in these days."}</p> : null}
      {total > USERS_PER_PAGE ? (
        <div className="mt-3 flex flex-wrap items-center justify-between gap-3 text-sm text-muted">
          <span role="status">
            {offset + 1}–{Math.min(offset + USERS_PER_PAGE, total)} of {total}
          </span>
          <span className="flex gap-2">
            <Button disabled={offset === 0} onClick={() => setAt({ words: sought, offset: Math.max(0, offset - USERS_PER_PAGE) })}>
              Back
            </Button>
            <Button disabled={offset + USERS_PER_PAGE >= total} onClick={() => setAt({ words: sought, offset: offset + USERS_PER_PAGE })}>
              More
            </Button>
          </span>
        </div>
      ) : null}
    </Section>
  );
}

import { useState } from "react";
import { isNotServed } from "@/api/problem.ts";
import { useBridgeSessions } from "@/data/bridge.ts";
import { NO_FILTER, type SessionFilter, sessionQuery } from "@/lib/bridgeQuery.ts";
import { Section } from "../Section.tsx";
import { ConnectProgram } from "./ConnectProgram.tsx";
import { SessionFilters } from "./SessionFilters.tsx";
import { SessionList } from "./SessionList.tsx";

/** Programs that use the models of this deployment: how to connect one, and what they asked. */
export function BridgePage() {
  const [filter, setFilter] = useState<SessionFilter>(NO_FILTER);
  const [chosenAt, setChosenAt] = useState(() => Date.now());
  const [offset, setOffset] = useState(0);
  const sessions = useBridgeSessions(sessionQuery(filter, chosenAt), offset);
  const choose = (next: SessionFilter) => {
    setFilter(next);
    setChosenAt(Date.now());
    setOffset(0);
  };
  return (
    <>
      <Section title="Connect a program" text="Programs that speak the protocol of OpenAI or Anthropic can use the models of this Tandem, under your name and your limit.">
        <ConnectProgram />
      </Section>
      {isNotServed(sessions.error) ? null : (
        <Section title="Sessions" text="What programs asked. Prompts, tool calls, token counts and what the model thought or remarked on the way may be recorded; final answers are not.">
          <SessionFilters filter={filter} onChange={choose} />
          <SessionList sessions={sessions} filter={filter} offset={offset} onTurn={setOffset} onClear={() => choose(NO_FILTER)} />
        </Section>
      )}
    </>
  );
}

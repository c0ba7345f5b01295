import { Link } from "@tanstack/react-router";
import type { CostSummary, Span } from "@/api/usage.ts";
import { describe, isNotServed } from "@/api/problem.ts";
import { Notice } from "@/components/Notice.tsx";
import { Title } from "@/components/Title.tsx";
import { useCosts, useCostSummary } from "@/data/usage.ts";
import { count, money } from "@/lib/money.ts";
import { dayLabel, partsOf } from "@/lib/spans.ts";
import { typeName } from "@/lib/names.ts";
import { Section } from "../Section.tsx";
import { Bars, ROW_LINK } from "./Bars.tsx";
import { Columns } from "./Columns.tsx";

/** What a list of chats is cut at. */
const MAX_CHATS = 20;

interface CostsProps {
  /** An id, or `me`. */
  user: string;
  span: Span;
  /** Chats can be opened by those whose they are. */
  linksChats: boolean;
}

/** What one person spent in these days: all of it, when, on which models, in which chats. */
export function Costs({ user, span, linksChats }: CostsProps) {
  const { data, error } = useCostSummary(user, span);
  const parts = partsOf(span);
  const costs = useCosts(user, parts, data !== undefined && data.total_cost_micros > 0);
  if (error) return isNotServed(error) ? <NotCounted /> : <Notice tone="danger" title={describe(error)} />;
  if (!data) return <div role="status" aria-label="Loading" className="h-24 rounded-xl border border-line bg-raised" />;
  if (data.by_chat.length === 0) return <p className="text-sm text-muted">Nothing was spent in these days.</p>;
  return (
    <>
      <Figures summary={data} />
      {costs ? (
        <Section title="When">
          <Columns title="Cost by day, by UTC" columns={parts.map((part, index) => ({ label: dayLabel(part), micros: costs[index] ?? 0 }))} />
        </Section>
      ) : null}
      <Section title="On which models">
        <Bars caption="Cost by model" what="Model" bars={data.by_model.map((model) => ({ ...model, key: model.model_config_id, name: model.display_name || model.model, text: typeName(model.provider) }))} />
      </Section>
      <Section title="In which chats">
        <Bars
          caption="Cost by chat"
          what="Chat"
          bars={data.by_chat.slice(0, MAX_CHATS).map((chat) => ({
            ...chat,
            key: chat.root_chat_id,
            name: linksChats ? (
              <Link to="/chats/$chatId" params={{ chatId: chat.root_chat_id }} className={ROW_LINK}>
                <Title text={chat.chat_title} />
              </Link>
            ) : (
              <Title text={chat.chat_title} />
            ),
          }))}
        />
        {data.by_chat.length > MAX_CHATS ? <p className="mt-2 text-sm text-faint">And {data.by_chat.length - MAX_CHATS} more that cost less.</p> : null}
      </Section>
    </>
  );
}

function Figures({ summary }: { summary: CostSummary }) {
  const calls = summary.priced_message_count + summary.unpriced_message_count;
  const figures = [
    ["Cost", money(summary.total_cost_micros)],
    ["Model calls", calls.toLocaleString("en-US")],
    ["Tokens in", count(summary.total_input_tokens + summary.total_cache_creation_tokens)],
    ["From cache", count(summary.total_cache_read_tokens)],
    ["Tokens out", count(summary.total_output_tokens)],
  ] as const;
  return (
    <div className="mb-8">
      <dl className="flex flex-wrap gap-x-8 gap-y-3">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt className="text-xs text-faint">{name}</dt>
            <dd className="text-[19px] font-semibold tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      {summary.unpriced_message_count > 0 ? (
        <p className="mt-3 text-sm text-muted">
          {summary.unpriced_message_count === 1 ? "1 call came" : `${summary.unpriced_message_count.toLocaleString("en-US")} calls came`} from models without prices and {summary.unpriced_message_count === 1 ? "is" : "are"} not in the cost.
        </p>
      ) : null}
    </div>
  );
}

/** For servers that came before this page. */
export function NotCounted() {
  return <Notice tone="info" title="This Tandem server does not count costs yet">A newer version does.</Notice>;
}

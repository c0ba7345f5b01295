import { Brain, ChevronRight, Wrench } from "lucide-react";
import { useState } from "react";
import type { BridgeAction, BridgeThought, BridgeThread, BridgeToolUse } from "@/api/bridge.ts";
import { Badge } from "@/components/Badge.tsx";
import { Button } from "@/components/Button.tsx";
import { CodeBlock } from "@/components/CodeBlock.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { classes } from "@/lib/classes.ts";
import { duration } from "@/lib/time.ts";
import { firstLine, prettyInput, sourceName, tokensLine } from "./sessionText.ts";

/** Prompts are cut at this many characters until somebody wants to read on. */
const LONG_PROMPT = 600;
const SUMMARY = "flex cursor-pointer items-center gap-2 rounded-md px-4 py-2 text-sm -outline-offset-2 hover:bg-hover touch:min-h-11";
const CHEVRON = <ChevronRight size={14} className="shrink-0 text-faint transition-transform duration-100 group-open:rotate-90" aria-hidden />;

export function ThreadCard({ thread }: { thread: BridgeThread }) {
  const facts = [
    `${thread.provider_name || thread.provider}/${thread.model}`,
    thread.interception_count === 1 ? "1 request" : `${String(thread.interception_count)} requests`,
    duration(Date.parse(thread.ended_at) - Date.parse(thread.started_at)),
    tokensLine(thread.token_usage),
  ];
  return (
    <li className="rounded-xl border border-line bg-raised">
      <div className="px-4 py-3">
        <Prompt text={thread.prompt ?? ""} />
        <p className="mt-2 text-xs text-faint wrap-anywhere">
          {facts.filter(Boolean).join(" · ")} · <RelativeTime iso={thread.started_at} />
          {thread.credential_kind === "byok" ? ` · with a key of the user's own (${thread.credential_hint})` : ""}
        </p>
      </div>
      {thread.agentic_actions.length > 0 ? (
        <ul aria-label="What the model did" className="border-t border-line py-1">
          {/* oxlint-disable-next-line react/no-array-index-key -- what happened has an order and no names, and never changes */}
          {thread.agentic_actions.map((action, index) => <Action key={index} action={action} />)}
        </ul>
      ) : null}
    </li>
  );
}

function Prompt({ text }: { text: string }) {
  const [isOpen, setOpen] = useState(false);
  if (text.trim() === "") return <p className="text-sm text-muted">Goes on without a new prompt.</p>;
  const isLong = text.length > LONG_PROMPT;
  return (
    <>
      <p className="text-sm whitespace-pre-wrap wrap-anywhere">{isLong && !isOpen ? `${text.slice(0, LONG_PROMPT)}…` : text}</p>
      {isLong ? (
        <Button look="quiet" className="mt-1 -ml-3.5" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? "Show less" : "Show all of it"}
        </Button>
      ) : null}
    </>
  );
}

function Action({ action }: { action: BridgeAction }) {
  return (
    <>
      {action.thinking.map((thought) => <Thought key={thought.id} thought={thought} />)}
      {action.tool_calls.map((use) => <ToolUse key={use.id} use={use} />)}
    </>
  );
}

function Thought({ thought }: { thought: BridgeThought }) {
  return (
    <li>
      <details className="group">
        <summary className={SUMMARY}>
          <Brain size={14} className="shrink-0 text-muted" aria-hidden />
          <span className="shrink-0 text-muted">{sourceName(thought.source)}</span>
          <span className="min-w-0 flex-1 truncate text-faint">{firstLine(thought.text)}</span>
          {CHEVRON}
        </summary>
        <p className="px-4 pt-1 pb-3 text-sm whitespace-pre-wrap text-muted wrap-anywhere">{thought.text}</p>
      </details>
    </li>
  );
}

function ToolUse({ use }: { use: BridgeToolUse }) {
  const { code, language } = prettyInput(use.input);
  return (
    <li>
      <details className="group">
        <summary className={SUMMARY}>
          <Wrench size={14} className={classes("shrink-0", use.invocation_error ? "text-danger" : "text-muted")} aria-hidden />
          <span className="shrink-0 font-medium">{use.tool}</span>
          <code className="min-w-0 flex-1 truncate font-mono text-xs text-faint">{use.input}</code>
          {use.injected ? <Badge text="Tandem's" /> : null}
          {use.invocation_error ? <Badge text="Failed" look="warn" /> : null}
          {CHEVRON}
        </summary>
        <div className="space-y-2 px-4 pt-1 pb-3">
          {use.invocation_error ? <p className="text-sm text-danger wrap-anywhere">{use.invocation_error}</p> : null}
          {use.server_url ? <p className="text-xs text-muted wrap-anywhere">{use.server_url}</p> : null}
          <CodeBlock code={code} language={language} />
        </div>
      </details>
    </li>
  );
}

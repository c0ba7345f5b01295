import { BookOpen, Box, ChevronRight, ClipboardList, FilePen, FilePlus2, FileText, List, MessageCircleQuestion, Paperclip, Search, SquareTerminal, Wrench } from "lucide-react";
import { type ComponentType, lazy, memo, Suspense, useId } from "react";
import { spelt } from "@/lib/approvals.ts";
import { classes } from "@/lib/classes.ts";
import { loadLater } from "@/lib/loadLater.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { useOpened } from "../opened.ts";
import { EditBody } from "./EditBody.tsx";
import { ExecuteBody } from "./ExecuteBody.tsx";
import { foreignCall } from "./foreign.ts";
import { ForeignHead } from "./ForeignHead.tsx";
import { activity, editedPaths, type Outcome, summarize } from "./summary.ts";
import { ToolTime } from "./ToolTime.tsx";
import { type Trouble, troubleOf } from "./trouble.ts";

// Fetched with the first card of their kind that is opened, or that waits.
const AllArguments = lazy(() => import("../approvals/AllArguments.tsx").then((module) => ({ default: module.AllArguments })));
const ApprovalPanel = lazy(loadLater(() => import("../approvals/ApprovalPanel.tsx").then((module) => ({ default: module.ApprovalPanel }))));
const ForeignBody = lazy(() => import("./ForeignBody.tsx").then((module) => ({ default: module.ForeignBody })));
const GenericBody = lazy(loadLater(() => import("./GenericBody.tsx").then((module) => ({ default: module.GenericBody }))));
const PlanBody = lazy(() => import("./PlanBody.tsx").then((module) => ({ default: module.PlanBody })));
const QuestionBody = lazy(() => import("./QuestionBody.tsx").then((module) => ({ default: module.QuestionBody })));
const ReadBody = lazy(loadLater(() => import("./ReadBody.tsx").then((module) => ({ default: module.ReadBody }))));
const SkillBody = lazy(() => import("./SkillBody.tsx").then((module) => ({ default: module.SkillBody })));
const TemplatesBody = lazy(() => import("./TemplatesBody.tsx").then((module) => ({ default: module.TemplatesBody })));
const WriteBody = lazy(loadLater(() => import("./WriteBody.tsx").then((module) => ({ default: module.WriteBody }))));

interface Kind {
  icon: ComponentType<{ size?: number; className?: string }>;
  body: ComponentType<{ row: ToolRow }>;
}

const GENERIC: Kind = { icon: Wrench, body: GenericBody };
const KINDS: Record<string, Kind> = {
  execute: { icon: SquareTerminal, body: ExecuteBody },
  process_output: { icon: SquareTerminal, body: ExecuteBody },
  process_list: { icon: List, body: GenericBody },
  process_signal: { icon: SquareTerminal, body: GenericBody },
  read_file: { icon: FileText, body: ReadBody },
  write_file: { icon: FilePlus2, body: WriteBody },
  edit_files: { icon: FilePen, body: EditBody },
  attach_file: { icon: Paperclip, body: GenericBody },
  propose_plan: { icon: ClipboardList, body: PlanBody },
  ask_user_question: { icon: MessageCircleQuestion, body: QuestionBody },
  list_templates: { icon: Box, body: TemplatesBody },
  read_template: { icon: Box, body: TemplatesBody },
  create_workspace: { icon: Box, body: GenericBody },
  start_workspace: { icon: Box, body: GenericBody },
  stop_workspace: { icon: Box, body: GenericBody },
  read_skill: { icon: BookOpen, body: SkillBody },
  read_skill_file: { icon: BookOpen, body: SkillBody },
  find_tools: { icon: Search, body: GenericBody },
};

const TONES: Record<Outcome["tone"], string> = { quiet: "text-faint", ok: "text-ok", danger: "text-danger", warn: "text-warn" };

const TROUBLE: Record<Trouble["kind"], string> = { failed: "text-danger", unknown: "text-warn", interrupted: "text-warn", declined: "text-muted", refused: "text-warn", unallowed: "text-muted" };

/** What waits, edits, plans and questions are what a reader wants to see; everything else shrinks to one line once it is done. */
function opensByItself(row: ToolRow): boolean {
  if (row.state === "failed") return false;
  if (row.state === "awaiting") return true;
  if (row.name === "execute") return row.state === "running" && row.output !== "";
  if (row.name === "propose_plan" || row.name === "ask_user_question") return row.state === "done";
  return row.name === "edit_files" && row.state === "done" && editedPaths(row).length <= 3;
}

export const ToolCard = memo(function ToolCard({ row }: { row: ToolRow }) {
  const id = useId();
  const [isOpen, setOpen] = useOpened(row.key, opensByItself(row));
  const foreign = foreignCall(row);
  const { icon: Icon, body } = KINDS[row.name] ?? GENERIC;
  const Body = foreign ? ForeignBody : body;
  const { verb, object, isCode, outcome } = summarize(row);
  const trouble = troubleOf(row);
  const active = row.state === "running" || row.state === "writing";
  const awaits = row.state === "awaiting";
  const tone = active ? "text-accent pulse" : awaits ? "text-warn" : trouble ? TROUBLE[trouble.kind] : "text-faint";
  return (
    <section
      aria-label={`${verb} ${object}`}
      className={classes("overflow-hidden rounded-md border bg-raised text-sm", trouble?.kind === "unknown" || awaits ? "border-warn-line" : "border-line")}
    >
      <button
        type="button"
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => setOpen(!isOpen)}
        className="flex min-h-9 w-full items-center gap-2.5 px-3 py-1.5 text-left -outline-offset-2 hover:bg-sunken touch:min-h-11"
      >
        {foreign ? (
          <ForeignHead row={row} call={foreign} object={object} isActive={active || awaits} tone={tone} />
        ) : (
          <>
            <Icon size={15} className={classes("shrink-0", tone)} aria-hidden />
            <span className={classes("flex min-w-0 flex-1 items-baseline", isCode ? "gap-2" : "gap-1")}>
              <span className={classes("shrink-0", active || awaits ? "text-ink" : "text-muted")}>{verb}</span>
              <span className={classes("truncate", isCode ? "font-mono text-[12.5px] text-ink" : "text-muted")}>{awaits ? spelt(object) : object}</span>
            </span>
          </>
        )}
        {outcome ? <span className={classes("shrink-0 text-xs tabular-nums", TONES[outcome.tone])}>{outcome.text}</span> : null}
        <ToolTime row={row} />
        <ChevronRight size={14} className={classes("shrink-0 text-faint transition-transform duration-100", isOpen && "rotate-90")} aria-hidden />
      </button>
      {trouble && !isOpen ? <TroubleLine trouble={trouble} className="line-clamp-3 px-3 pb-2 pl-[37px]" /> : null}
      {isOpen ? (
        <div id={id} className="border-t border-line">
          {trouble && (row.name !== "execute" || trouble.kind !== "failed") ? <TroubleLine trouble={trouble} className="px-3.5 py-2.5" /> : null}
          <Suspense>
            <Body row={row} />
            {awaits ? <AllArguments row={row} /> : null}
          </Suspense>
        </div>
      ) : null}
      {awaits ? (
        <Suspense>
          <ApprovalPanel row={row} name={activity(row)} />
        </Suspense>
      ) : null}
    </section>
  );
});

function TroubleLine({ trouble, className }: { trouble: Trouble; className: string }) {
  return (
    <p className={classes("text-xs wrap-anywhere", TROUBLE[trouble.kind], className)}>
      {trouble.text}
      {trouble.kind === "unknown" ? " It may have happened: check before repeating it." : null}
    </p>
  );
}

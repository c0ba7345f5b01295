import { ServerIcon } from "@/components/ServerIcon.tsx";
import { useServerOf } from "@/data/mcp.ts";
import { classes } from "@/lib/classes.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import type { ForeignCall } from "./foreign.ts";

interface ForeignHeadProps {
  row: ToolRow;
  call: ForeignCall;
  /** What it was called with, where the model does not say what for. */
  object: string;
  isActive: boolean;
  /** How the picture looks. */
  tone: string;
}

/** Whose tool, which one, and in the model's own words what for. */
export function ForeignHead({ row, call, object, isActive, tone }: ForeignHeadProps) {
  const server = useServerOf(row.serverId, call.slug);
  const name = server?.display_name ?? call.slug;
  return (
    <>
      <ServerIcon server={server} size={15} className={classes(tone, call.intent !== "" && "mt-0.5 self-start")} />
      <span className="min-w-0 flex-1">
        <span className="flex min-w-0 items-baseline gap-2">
          <span className={classes("min-w-0 truncate", isActive ? "text-ink" : "text-muted")}>{call.title}</span>
          {name === "" ? null : <span className="max-w-[45%] shrink-0 truncate text-xs text-faint">{name}</span>}
          {call.intent === "" && object !== "" ? <span className="min-w-0 flex-1 truncate text-faint max-sm:hidden">{object}</span> : null}
        </span>
        {call.intent === "" ? null : <span className={classes("line-clamp-2 text-[13px] leading-5", isActive ? "text-ink" : "text-muted")}>{call.intent}</span>}
      </span>
    </>
  );
}

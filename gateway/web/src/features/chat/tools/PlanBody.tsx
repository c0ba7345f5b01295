import { useQuery } from "@tanstack/react-query";
import { fileUrl, readPlan } from "@/api/chats.ts";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { returnToComposer } from "@/components/focus.ts";
import { Markdown } from "@/components/Markdown.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { keys } from "@/data/keys.ts";
import { open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { useAnswering } from "../answering.ts";
import { GenericBody } from "./GenericBody.tsx";
import { useAnswer } from "./useAnswer.ts";

const APPROVAL = "The plan is approved. Carry it out.";

/** A plan as the document it is, and what can be done with it while it waits. */
export function PlanBody({ row }: { row: ToolRow }) {
  const fileId = str(open(row.result)["file_id"]);
  const { data, error } = useQuery({ queryKey: keys.plan(fileId), queryFn: () => readPlan(fileId), enabled: fileId !== "", staleTime: Number.POSITIVE_INFINITY });
  const { rowKey } = useAnswering();
  const { isSending, problem, answer } = useAnswer();
  if (fileId === "") return <GenericBody row={row} />;
  return (
    <div className="px-4 py-3">
      {data === undefined ? (
        error ? <p className="text-sm text-danger">{describe(error)}</p> : <Spinner />
      ) : (
        <Markdown text={data} />
      )}
      <div className="mt-4 flex flex-wrap items-center gap-2">
        {rowKey === row.key ? (
          <>
            <Button look="primary" busy={isSending} onClick={() => answer(APPROVAL, "")}>
              Approve and carry out
            </Button>
            <Button disabled={isSending} onClick={returnToComposer}>
              Say what to change
            </Button>
          </>
        ) : null}
        <a href={fileUrl(fileId)} target="_blank" rel="noopener noreferrer" className="text-sm text-muted underline underline-offset-2 hover:text-ink">
          Open as a file
        </a>
      </div>
      {problem === "" ? null : (
        <p role="alert" className="mt-2 text-sm text-danger">
          {problem}
        </p>
      )}
    </div>
  );
}

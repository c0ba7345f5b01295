import { Shuffle } from "lucide-react";
import { useModels } from "@/data/queries.ts";
import { modelName } from "@/lib/names.ts";
import type { StandInRow } from "@/stream/timeline.ts";

/** That another model answered than the one that was asked. */
export function StandInNote({ row }: { row: StandInRow }) {
  const { data: models } = useModels();
  const nameOf = (id: string) => {
    const model = models?.find((one) => one.id === id);
    return model && modelName(model);
  };
  return (
    <p className="flex items-start gap-1.5 text-xs text-faint">
      <Shuffle size={13} className="mt-px shrink-0" aria-hidden />
      {nameOf(row.answered) ?? "Another model"} answered in place of {nameOf(row.asked) ?? "the chosen one"}.
    </p>
  );
}

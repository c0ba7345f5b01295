import { ago, exactTime } from "@/lib/time.ts";
import { useNow } from "./useNow.ts";

const STEP_MS = 30_000;

export function RelativeTime({ iso, className }: { iso: string; className?: string }) {
  const now = useNow(STEP_MS);
  return (
    <time dateTime={iso} title={exactTime(iso)} className={className}>
      {ago(iso, now)}
    </time>
  );
}

import { useEffect, useState } from "react";

/** The present, moving every `stepMs` while `running`. */
export function useNow(stepMs: number, running = true): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!running) return undefined;
    const tick = () => setNow(Date.now());
    const first = setTimeout(tick);
    const timer = setInterval(tick, stepMs);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, [stepMs, running]);
  return now;
}

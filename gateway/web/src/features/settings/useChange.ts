import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import { toast } from "@/components/toasts.ts";

/** Runs one change at a time, says what went wrong, and reads again what it touched. */
export function useChange(...touched: (readonly string[])[]) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const run = async (action: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    try {
      await action();
      return true;
    } catch (error) {
      toast(describe(error), { tone: "danger" });
      return false;
    } finally {
      await Promise.all(touched.map((queryKey) => client.invalidateQueries({ queryKey })));
      setBusy(false);
    }
  };
  return { busy, run };
}

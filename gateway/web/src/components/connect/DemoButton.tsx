import { useState } from "react";
import { describe } from "@/api/problem.ts";
import { DEMO_NAME, DEMO_TYPE } from "@/lib/names.ts";
import { Button } from "../Button.tsx";
import { Notice } from "../Notice.tsx";
import { useConnect } from "./useConnect.ts";

/** The built-in demo model, one click away. */
export function DemoButton({ onDone }: { onDone: () => void }) {
  const { connectOpen } = useConnect();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const use = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await connectOpen({ type: DEMO_TYPE, name: DEMO_TYPE, displayName: DEMO_NAME, modelName: DEMO_NAME });
      onDone();
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="space-y-3">
      <Button look="primary" busy={busy} onClick={() => void use()}>
        Use the demo model
      </Button>
      {problem ? <Notice tone="danger" title={problem} /> : null}
    </div>
  );
}

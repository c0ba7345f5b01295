import { Button } from "@/components/Button.tsx";
import { ConnectChoices } from "@/components/connect/ConnectChoices.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useChoosableModels } from "@/data/queries.ts";
import { modelName } from "@/lib/names.ts";

export function ModelStep({ onDone }: { onDone: () => void }) {
  const { models } = useChoosableModels();
  return (
    <div className="space-y-4">
      {models.length > 0 ? (
        <Notice tone="ok" title={`${models.length === 1 ? "A model is" : `${String(models.length)} models are`} ready`}>
          {models.map(modelName).join(", ")}
        </Notice>
      ) : null}
      <ConnectChoices onDone={onDone} />
      <Button look={models.length > 0 ? "primary" : "quiet"} className={models.length > 0 ? "" : "-ml-3.5"} onClick={onDone}>
        {models.length > 0 ? "Start chatting" : "Later"}
      </Button>
    </div>
  );
}

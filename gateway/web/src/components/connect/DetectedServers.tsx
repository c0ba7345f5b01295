import { RefreshCw, Server } from "lucide-react";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import type { DetectedServer } from "@/api/modelTypes.ts";
import { useDetectedServers } from "@/data/queries.ts";
import { Button } from "../Button.tsx";
import { IconButton } from "../IconButton.tsx";
import { Notice } from "../Notice.tsx";
import { Spinner } from "../Spinner.tsx";
import { SERVER_NAMES } from "./presets.ts";
import { useConnect } from "./useConnect.ts";

/** Model servers found on the machine Tandem runs on, each one click away. */
export function DetectedServers({ onDone }: { onDone: () => void }) {
  const { data, isFetching, refetch } = useDetectedServers();
  return (
    <section aria-label="Found on this machine">
      <div className="mb-1.5 flex h-8 items-center justify-between">
        <h3 className="text-sm font-medium">Found on this machine</h3>
        <IconButton size="sm" tipSide="left" label="Look again" disabled={isFetching} onClick={() => void refetch()}>
          {isFetching ? <Spinner size={14} /> : <RefreshCw size={14} />}
        </IconButton>
      </div>
      {data && data.length > 0 ? (
        <ul className="divide-y divide-line rounded-md border border-line">
          {data.map((server) => (
            <DetectedRow key={server.base_url} server={server} onDone={onDone} />
          ))}
        </ul>
      ) : (
        <p className="rounded-md border border-dashed border-line px-3.5 py-3 text-sm text-muted">
          {isFetching ? "Looking for Ollama, llama.cpp, vLLM and LM Studio…" : "Nothing yet. Start Ollama, llama.cpp, vLLM or LM Studio, then look again."}
        </p>
      )}
    </section>
  );
}

function DetectedRow({ server, onDone }: { server: DetectedServer; onDone: () => void }) {
  const { connectOpen } = useConnect();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const name = SERVER_NAMES[server.kind] ?? server.kind;
  const use = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const slug = server.kind.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
      await connectOpen({ type: "openai-compat", name: slug, displayName: name, baseUrl: server.base_url }, server.models.slice(0, 1));
      onDone();
    } catch (error) {
      setProblem(describe(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <li className="px-3.5 py-2.5">
      <div className="flex items-center gap-3">
        <Server size={17} className="shrink-0 text-muted" aria-hidden />
        <div className="min-w-0 flex-1">
          <p className="text-sm font-medium">{name}</p>
          <p className="truncate text-xs text-faint">{server.models[0] ?? server.base_url}</p>
        </div>
        <Button busy={busy} onClick={() => void use()} aria-label={`Use ${name}`}>
          Use
        </Button>
      </div>
      {problem ? (
        <div className="mt-2">
          <Notice tone="danger">{problem}</Notice>
        </div>
      ) : null}
    </li>
  );
}

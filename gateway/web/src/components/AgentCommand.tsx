import { useState } from "react";
import { describe } from "@/api/problem.ts";
import { type AgentToken, issueAgentToken, type Workspace } from "@/api/workspaces.ts";
import { Button } from "./Button.tsx";
import { CopyButton } from "./CopyButton.tsx";
import { Notice } from "./Notice.tsx";

/** How a host of the user's own becomes a workspace: a command with a token that is shown once. */
export function AgentCommand({ workspace }: { workspace: Workspace }) {
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState<AgentToken | null>(null);
  const [problem, setProblem] = useState("");
  const issue = () => {
    setBusy(true);
    setProblem("");
    issueAgentToken(workspace.id)
      .then(setMade)
      .catch((error: unknown) => setProblem(describe(error)))
      .finally(() => setBusy(false));
  };
  return (
    <div className="space-y-3">
      <p className="text-sm text-muted">
        {workspace.agent.has_token ? "A token was made for this workspace. A new one sends away the agent that runs with the old one." : "Make a token, and run the agent with it on the host. It needs no open port: it dials out."}
      </p>
      <Button busy={busy} onClick={issue}>
        {workspace.agent.has_token ? "Make a new token" : "Make a token"}
      </Button>
      {problem === "" ? null : <Notice tone="danger" title={problem} />}
      {made ? (
        <Notice tone="ok" title="Run this on the host. It is shown only this once">
          <span className="mt-1 flex items-center gap-1 rounded-md border border-line bg-canvas py-0.5 pr-1 pl-2.5">
            <code className="min-w-0 flex-1 font-mono text-xs wrap-anywhere text-ink">{made.command}</code>
            <CopyButton text={made.command} label="Copy the command" />
          </span>
          {made.url.startsWith("unix:") ? <span className="mt-2 block">This address is of the machine Tandem runs on. For other hosts, give tool-runner a listener for agents: “listen” in its section “agent”.</span> : null}
        </Notice>
      ) : null}
    </div>
  );
}

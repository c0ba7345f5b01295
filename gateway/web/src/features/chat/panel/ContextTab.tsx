import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Chat } from "@/api/types.ts";
import { Badge } from "@/components/Badge.tsx";
import { ServerIcon } from "@/components/ServerIcon.tsx";
import { useUsableServers } from "@/data/mcp.ts";
import { lacksAccount } from "@/lib/mcp.ts";
import { usedServers } from "@/lib/mcpChoice.ts";
import { useSkills } from "@/data/workspaces.ts";
import { useTold } from "./useTold.ts";
import { WorkspaceServers } from "./WorkspaceServers.tsx";

/** What the model knows besides the conversation, and where each of it comes from. */
export function ContextTab({ chat }: { chat: Chat }) {
  const { data: told = [] } = useTold(chat);
  const { data: own = [] } = useSkills();
  const files = told.filter((part) => part.type === "context-file").filter((file) => file.context_file_path !== "");
  const skills = told.filter((part) => part.type === "skill");
  const servers = usedServers(useUsableServers(), chat.mcp_server_ids ?? []);
  return (
    <div className="space-y-7">
      <Group name="Instructions" empty="No AGENTS.md was found in the workspace. What stands there is told to the agent in every turn.">
        {files.map((file) => (
          <li key={file.context_file_path} className="flex flex-wrap items-center gap-x-2 px-3.5 py-2">
            <span className="min-w-0 flex-1 basis-52 font-mono text-[12.5px] wrap-anywhere">{file.context_file_path}</span>
            {file.context_file_agent_id ? null : <Badge text="added" />}
            {file.context_file_truncated ? <Badge text="cut at 64 KiB" look="warn" /> : null}
          </li>
        ))}
      </Group>
      <Group name="Skills of the workspace" empty="None. A skill is a directory with a SKILL.md in .agents/skills of the workspace.">
        {skills.map((skill) => (
          <li key={skill.skill_name} className="px-3.5 py-2">
            <p className="text-sm">{skill.skill_name}</p>
            {skill.skill_description ? <p className="text-[13px] leading-5 text-muted">{skill.skill_description}</p> : null}
          </li>
        ))}
      </Group>
      <Group name="My skills" empty="None. Those you write in the settings are known in every chat of yours.">
        {own.map((skill) => (
          <li key={skill.name} className="px-3.5 py-2">
            <Link to="/settings/skills/$name" params={{ name: skill.name }} className="rounded-md text-sm underline-offset-2 hover:underline">
              {skill.name}
            </Link>
            {skill.description ? <p className="text-[13px] leading-5 text-muted">{skill.description}</p> : null}
          </li>
        ))}
      </Group>
      <Group name="MCP servers" empty="This chat uses none.">
        {servers.map((server) => (
          <li key={server.id} className="flex items-center gap-2.5 px-3.5 py-2 text-sm">
            <ServerIcon server={server} size={15} className="text-muted" />
            <span className="min-w-0 flex-1 truncate">{server.display_name}</span>
            {lacksAccount(server) ? <Badge text="no account" look="warn" /> : null}
          </li>
        ))}
      </Group>
      {chat.workspace_id ? <WorkspaceServers workspaceId={chat.workspace_id} /> : null}
    </div>
  );
}

function Group({ name, empty, children }: { name: string; empty: string; children: readonly ReactNode[] }) {
  return (
    <section aria-label={name}>
      <h3 className="mb-2 text-sm font-medium">{name}</h3>
      {children.length === 0 ? <p className="text-sm text-muted">{empty}</p> : <ul className="divide-y divide-line rounded-md border border-line">{children}</ul>}
    </section>
  );
}

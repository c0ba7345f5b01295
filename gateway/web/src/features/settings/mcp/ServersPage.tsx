import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { describe } from "@/api/problem.ts";
import { buttonClasses } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useAccountNews, useMcpServers } from "@/data/mcp.ts";
import { useIsAdministrator } from "@/data/queries.ts";
import { ListSection } from "../Section.tsx";
import { MemberItem, ServerItem } from "./ServerItem.tsx";

/** Servers whose tools chats can use: administrators look after them, everybody connects accounts. */
export function ServersPage() {
  const isAdministrator = useIsAdministrator() === true;
  const { data, error } = useMcpServers();
  useAccountNews();
  if (data === null) return <Notice tone="info" title="This server does not know MCP servers yet." />;
  if (error && data === undefined) return <Notice tone="danger" title={describe(error)} />;
  if (!isAdministrator) {
    return (
      <ListSection title="MCP servers" text="Their tools can be used in your chats. Some answer only with an account of yours." items={data} error={error} empty="None yet. An administrator adds them.">
        {(server) => <MemberItem key={server.id} server={server} />}
      </ListSection>
    );
  }
  return (
    <ListSection
      title="MCP servers"
      text="Programs elsewhere whose tools chats can use. Secrets are stored encrypted and never shown again."
      action={
        <Link to="/settings/mcp/new" className={buttonClasses("secondary")}>
          <Plus size={15} aria-hidden /> Add
        </Link>
      }
      items={data}
      error={error}
      empty="None yet. Add the address of one, such as that of an issue tracker, and chats can read and change what is there."
    >
      {(server) => <ServerItem key={server.id} server={server} />}
    </ListSection>
  );
}

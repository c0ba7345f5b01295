import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { describe } from "@/api/problem.ts";
import { buttonClasses } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useAccountNews, useMcpServers } from "@/data/mcp.ts";
import { useIsAdministrator } from "@/data/queries.ts";
import { LIST, Loading, Section } from "../Section.tsx";
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
      <Section title="MCP servers" text="Their tools can be used in your chats. Some answer only with an account of yours.">
        <ul aria-label="MCP servers" className={LIST}>
          {data?.map((server) => <MemberItem key={server.id} server={server} />)}
          {data === undefined ? <Loading /> : null}
          {data?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None yet. An administrator adds them.</li> : null}
        </ul>
      </Section>
    );
  }
  return (
    <Section
      title="MCP servers"
      text="Programs elsewhere whose tools chats can use. Secrets are stored encrypted and never shown again."
      action={
        <Link to="/settings/mcp/new" className={buttonClasses("secondary")}>
          <Plus size={15} aria-hidden /> Add
        </Link>
      }
    >
      {error ? (
        <div className="mb-3">
          <Notice tone="danger" title={describe(error)} />
        </div>
      ) : null}
      <ul aria-label="MCP servers" className={LIST}>
        {data?.map((server) => <ServerItem key={server.id} server={server} />)}
        {data === undefined ? <Loading /> : null}
        {data?.length === 0 ? (
          <li className="px-4 py-4 text-sm text-muted">None yet. Add the address of one, such as that of an issue tracker, and chats can read and change what is there.</li>
        ) : null}
      </ul>
    </Section>
  );
}

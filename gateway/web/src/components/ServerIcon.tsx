import { Plug } from "lucide-react";
import type { McpServer } from "@/api/mcp.ts";
import { classes } from "@/lib/classes.ts";
import { iconOf } from "@/lib/mcp.ts";

interface ServerIconProps {
  server: Pick<McpServer, "icon_url"> | undefined;
  size?: number;
  className?: string | undefined;
}

/** The picture of an MCP server, if it is one of ours; a plug otherwise. Its name stands beside it. */
export function ServerIcon({ server, size = 16, className }: ServerIconProps) {
  const address = iconOf(server);
  if (address === null) return <Plug size={size} className={classes("shrink-0", className)} aria-hidden />;
  return <img src={address} alt="" width={size} height={size} className={classes("shrink-0 rounded-sm object-contain", className)} />;
}

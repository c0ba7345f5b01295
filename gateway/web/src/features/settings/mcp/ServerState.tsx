import type { McpServer } from "@/api/mcp.ts";
import { Badge } from "@/components/Badge.tsx";
import { useNow } from "@/components/useNow.ts";
import { classes } from "@/lib/classes.ts";
import { healthWords } from "@/lib/mcp.ts";
import { HealthLine } from "../models/HealthLine.tsx";

const STEP_MS = 30_000;

/** That it is off, or that the user has to connect an account; nothing otherwise. */
export function ServerBadge({ server }: { server: McpServer }) {
  if (!server.enabled) return <Badge text="Off" />;
  return server.auth_connected ? null : <Badge text={server.reconnect_reason ? "Connect again" : "Not connected"} look="warn" />;
}

/** How the last connection went. */
export function ServerHealth({ server, className }: { server: McpServer; className?: string }) {
  const words = healthWords(server.health, useNow(STEP_MS));
  if (words === null) return <span className={classes("block", className)}>Not tried yet</span>;
  return (
    <HealthLine level={words.level} word={words.word} {...(className && { className })}>
      {words.text}
    </HealthLine>
  );
}

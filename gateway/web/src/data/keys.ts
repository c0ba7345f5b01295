// Names of everything in the query cache, in one place so that they cannot be misspelt.

import type { Span } from "@/api/usage.ts";

export const keys = {
  me: ["me"],
  setup: ["setup"],
  organizations: ["organizations"],
  chats: ["chats"],
  archivedChats: ["chats", "archived"],
  chat: (id: string) => ["chats", "one", id] as const,
  wait: (id: string, moment: string) => ["wait", id, moment] as const,
  told: (id: string, moment: string) => ["told", id, moment] as const,
  foundChats: (q: string, labels: readonly string[]) => ["chats", "found", q, ...labels] as const,
  plan: (fileId: string) => ["plan", fileId] as const,
  models: ["models"],
  providers: ["providers"],
  /** Apart from the providers: it is asked for again and again. */
  providerHealth: ["provider-health"],
  ownKeys: ["own-keys"],
  bridgeSessions: (q: string, offset: number) => ["bridge", "sessions", q, offset] as const,
  bridgeSession: (id: string, initiator: string) => ["bridge", "session", id, initiator] as const,
  bridgeValues: (field: "models" | "clients") => ["bridge", field] as const,
  workspaces: ["workspaces"],
  workspace: (id: string) => ["workspaces", "one", id] as const,
  builds: (id: string) => ["workspaces", "builds", id] as const,
  confinement: (id: string) => ["confinement", id] as const,
  templates: ["templates"],
  gitCredentials: ["git-credentials"],
  skills: ["skills"],
  skill: (name: string) => ["skills", "one", name] as const,
  mcpServers: ["mcp"],
  workspaceServers: (workspaceId: string) => ["workspace-mcp", workspaceId] as const,
  mcpTools: (id: string) => ["mcp-tools", id] as const,
  detected: ["detected"],
  tokens: ["tokens"],
  users: ["users"],
  /** Everything about money: it changes together. */
  usage: ["usage"],
  usageStatus: ["usage", "status"],
  usageLimits: ["usage", "limits"],
  costSummary: (user: string, span: Span) => ["usage", "summary", user, span.start, span.end] as const,
  costUsers: (span: Span, words: string, offset: number) => ["usage", "users", span.start, span.end, words, offset] as const,
} as const;

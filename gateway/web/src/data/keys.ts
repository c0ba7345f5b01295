// Names of everything in the query cache, in one place so that they cannot be misspelt.

import type { Span } from "@/api/usage.ts";

export const keys = {
  me: ["me"],
  setup: ["setup"],
  organizations: ["organizations"],
  chats: ["chats"],
  archivedChats: ["chats", "archived"],
  chat: (id: string) => ["chats", "one", id] as const,
  foundChats: (q: string, labels: readonly string[]) => ["chats", "found", q, ...labels] as const,
  models: ["models"],
  providers: ["providers"],
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

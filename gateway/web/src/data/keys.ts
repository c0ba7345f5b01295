// Names of everything in the query cache, in one place so that they cannot be misspelt.

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
} as const;

// All addresses of the UI and what they show. Pages are loaded when they are first needed.
import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { ApiError } from "@/api/problem.ts";
import { meQuery, setupQuery } from "@/data/queries.ts";
import { fetchMarkdownParser } from "@/lib/markdownLater.ts";
import { LoadError } from "./LoadError.tsx";
import { Shell } from "./Shell.tsx";

interface Context {
  client: QueryClient;
}

const root = createRootRouteWithContext<Context>()({ component: Outlet });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  component: lazyRouteComponent(() => import("@/features/auth/LoginPage.tsx"), "LoginPage"),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  component: lazyRouteComponent(() => import("@/features/setup/SetupPage.tsx"), "SetupPage"),
});

/** Everything that needs a signed-in user. */
const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  errorComponent: LoadError,
  beforeLoad: async ({ context: { client } }) => {
    try {
      await client.ensureQueryData(meQuery);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) throw error;
      const { needs_setup } = await client.fetchQuery(setupQuery).catch(() => ({ needs_setup: false }));
      throw redirect({ to: needs_setup ? "/setup" : "/login", replace: true });
    }
  },
});

/** What its words are read with comes at the same time. */
const loadChat = () => {
  void fetchMarkdownParser();
  return import("./OpenChat.tsx");
};

const newChat = createRoute({ getParentRoute: () => shell, path: "/", component: lazyRouteComponent(() => import("./NewChat.tsx"), "NewChat") });
const chat = createRoute({ getParentRoute: () => shell, path: "/chats/$chatId", component: lazyRouteComponent(loadChat, "OpenChat") });
const settings = createRoute({ getParentRoute: () => shell, path: "/settings", component: lazyRouteComponent(() => import("./settings.tsx"), "Settings") });
const models = createRoute({ getParentRoute: () => settings, path: "/models", component: lazyRouteComponent(() => import("./settings.tsx"), "ModelsPage") });
const model = createRoute({ getParentRoute: () => settings, path: "/models/$modelId", component: lazyRouteComponent(() => import("./settings.tsx"), "ModelPage") });
const provider = createRoute({ getParentRoute: () => settings, path: "/models/providers/$providerId", component: lazyRouteComponent(() => import("./settings.tsx"), "ProviderPage") });
const usage = createRoute({ getParentRoute: () => settings, path: "/usage", component: lazyRouteComponent(() => import("./settings.tsx"), "UsagePage") });
const userSpend = createRoute({ getParentRoute: () => settings, path: "/spend/$userId", component: lazyRouteComponent(() => import("./settings.tsx"), "UserSpendPage") });
const spend = createRoute({ getParentRoute: () => settings, path: "/spend", component: lazyRouteComponent(() => import("./settings.tsx"), "SpendPage") });
const tokens = createRoute({ getParentRoute: () => settings, path: "/tokens", component: lazyRouteComponent(() => import("./settings.tsx"), "TokensPage") });
const ownKeys = createRoute({ getParentRoute: () => settings, path: "/keys", component: lazyRouteComponent(() => import("./settings.tsx"), "OwnKeysPage") });
const bridge = createRoute({ getParentRoute: () => settings, path: "/gateway", component: lazyRouteComponent(() => import("./bridge.tsx"), "BridgePage") });
/** `initiator`: whose session it is, where it is not one's own. */
const bridgeSession = createRoute({
  getParentRoute: () => settings,
  path: "/gateway/$sessionId",
  component: lazyRouteComponent(() => import("./bridge.tsx"), "SessionPage"),
  validateSearch: (search: Record<string, unknown>): { initiator?: string } => (typeof search["initiator"] === "string" ? { initiator: search["initiator"] } : {}),
});
const mcp = createRoute({ getParentRoute: () => settings, path: "/mcp", component: lazyRouteComponent(() => import("./mcp.tsx"), "ServersPage") });
const newMcpServer = createRoute({ getParentRoute: () => settings, path: "/mcp/new", component: lazyRouteComponent(() => import("./mcp.tsx"), "NewServerPage") });
const mcpServer = createRoute({ getParentRoute: () => settings, path: "/mcp/$serverId", component: lazyRouteComponent(() => import("./mcp.tsx"), "ServerPage") });
const workspaces = createRoute({ getParentRoute: () => settings, path: "/workspaces", component: lazyRouteComponent(() => import("./workspaces.tsx"), "WorkspacesPage") });
const newWorkspace = createRoute({ getParentRoute: () => settings, path: "/workspaces/new", component: lazyRouteComponent(() => import("./workspaces.tsx"), "NewWorkspacePage") });
const workspace = createRoute({ getParentRoute: () => settings, path: "/workspaces/$workspaceId", component: lazyRouteComponent(() => import("./workspaces.tsx"), "WorkspacePage") });
const templates = createRoute({ getParentRoute: () => settings, path: "/templates", component: lazyRouteComponent(() => import("./workspaces.tsx"), "TemplatesPage") });
const newTemplate = createRoute({ getParentRoute: () => settings, path: "/templates/new", component: lazyRouteComponent(() => import("./workspaces.tsx"), "NewTemplatePage") });
const template = createRoute({ getParentRoute: () => settings, path: "/templates/$templateId", component: lazyRouteComponent(() => import("./workspaces.tsx"), "TemplatePage") });
const git = createRoute({ getParentRoute: () => settings, path: "/git", component: lazyRouteComponent(() => import("./workspaces.tsx"), "GitPage") });
const skills = createRoute({ getParentRoute: () => settings, path: "/skills", component: lazyRouteComponent(() => import("./workspaces.tsx"), "SkillsPage") });
/** `isNew`: the name is still to be chosen. */
const skill = createRoute({
  getParentRoute: () => settings,
  path: "/skills/$name",
  component: lazyRouteComponent(() => import("./workspaces.tsx"), "SkillPage"),
  validateSearch: (search: Record<string, unknown>): { isNew?: boolean } => (search["isNew"] === true ? { isNew: true } : {}),
});
const users = createRoute({ getParentRoute: () => settings, path: "/users", component: lazyRouteComponent(() => import("./settings.tsx"), "UsersPage") });
const account = createRoute({ getParentRoute: () => settings, path: "/account", component: lazyRouteComponent(() => import("./settings.tsx"), "AccountPage") });
const look = createRoute({ getParentRoute: () => settings, path: "/look", component: lazyRouteComponent(() => import("./settings.tsx"), "LookPage") });
const settingsIndex = createRoute({
  getParentRoute: () => settings,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/settings/models", replace: true });
  },
});

const routeTree = root.addChildren([
  login,
  setup,
  shell.addChildren([newChat, chat, settings.addChildren([settingsIndex, models, model, provider, usage, spend, userSpend, users, workspaces, newWorkspace, workspace, templates, newTemplate, template, skills, skill, git, mcp, newMcpServer, mcpServer, bridge, bridgeSession, ownKeys, tokens, account, look])]),
]);

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree,
    context: { client },
    defaultPreload: "intent",
    defaultPendingMs: 300,
    defaultNotFoundComponent: NotFound,
  });
}

function NotFound() {
  return (
    <div className="grid h-full place-items-center text-sm text-muted">
      <p>
        There is nothing at this address.{" "}
        <a href="/" className="text-accent underline underline-offset-2">
          Go to your chats
        </a>
        .
      </p>
    </div>
  );
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}

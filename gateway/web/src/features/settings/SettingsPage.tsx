import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";
import { usePageTitle } from "@/components/usePageTitle.ts";
import { useUsableServers } from "@/data/mcp.ts";
import { useTakesOwnKeys } from "@/data/providers.ts";
import { useIsAdministrator } from "@/data/queries.ts";

interface Page {
  to: string;
  name: string;
  isForAdministrators?: boolean;
  /** Only where a provider takes keys of users. */
  isForOwnKeys?: boolean;
  /** For everybody else only where there are any. */
  isForServers?: boolean;
}

const PAGES = [
  { to: "/settings/models", name: "Models" },
  { to: "/settings/workspaces", name: "Workspaces" },
  { to: "/settings/templates", name: "Templates", isForAdministrators: true },
  { to: "/settings/skills", name: "My skills" },
  { to: "/settings/git", name: "Git" },
  { to: "/settings/mcp", name: "MCP servers", isForServers: true },
  { to: "/settings/usage", name: "Your usage" },
  { to: "/settings/spend", name: "Spend and limits", isForAdministrators: true },
  { to: "/settings/users", name: "Users", isForAdministrators: true },
  { to: "/settings/keys", name: "My keys", isForOwnKeys: true },
  { to: "/settings/gateway", name: "AI gateway" },
  { to: "/settings/tokens", name: "API tokens" },
  { to: "/settings/account", name: "Account" },
  { to: "/settings/look", name: "Appearance" },
] as const satisfies readonly Page[];

export function SettingsPage({ lead }: { lead: ReactNode }) {
  const isAdministrator = useIsAdministrator() === true;
  const takesOwnKeys = useTakesOwnKeys();
  const servers = useUsableServers();
  const hasServers = isAdministrator || servers.length > 0;
  usePageTitle("Settings");
  const path = useRouterState({ select: (state) => state.location.pathname });
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the tabs are wider than the page.
    nav.current?.querySelector("[aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [path, isAdministrator, takesOwnKeys, hasServers]);
  const pages = PAGES.filter((page: Page) => (isAdministrator || !page.isForAdministrators) && (takesOwnKeys || !page.isForOwnKeys) && (hasServers || !page.isForServers));
  return (
    <>
      <header className="flex h-13 shrink-0 items-center gap-2 border-b border-line px-3">
        {lead}
        <h1 className="pl-2 text-sm font-semibold">Settings</h1>
      </header>
      <div className="@container min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto max-w-[760px] px-6 py-6 max-sm:px-4 @min-[800px]:grid @min-[800px]:max-w-[960px] @min-[800px]:grid-cols-[160px_minmax(0,1fr)] @min-[800px]:gap-10">
          <nav ref={nav} aria-label="Settings" className="mb-8 flex gap-1 overflow-x-auto border-b border-line @min-[800px]:sticky @min-[800px]:top-6 @min-[800px]:mb-0 @min-[800px]:flex-col @min-[800px]:self-start @min-[800px]:border-0">
            {pages.map((page) => (
              <Link
                key={page.to}
                to={page.to}
                className="-mb-px shrink-0 border-b-2 border-transparent px-3 py-2 text-sm text-muted @max-[800px]:px-2.5 -outline-offset-2 hover:text-ink @min-[800px]:mb-0 @min-[800px]:rounded-md @min-[800px]:border-0 @min-[800px]:py-1.5 @min-[800px]:hover:bg-hover touch:py-3"
                activeProps={{ className: "border-accent! text-ink! font-medium @min-[800px]:bg-selected!", "aria-current": "page" }}
              >
                {page.name}
              </Link>
            ))}
          </nav>
          <div className="min-w-0">
            <Outlet />
          </div>
        </div>
      </div>
    </>
  );
}

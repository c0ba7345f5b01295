import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";
import { usePageTitle } from "@/components/usePageTitle.ts";
import { useIsAdministrator } from "@/data/queries.ts";

const PAGES = [
  { to: "/settings/models", name: "Models" },
  { to: "/settings/usage", name: "Your usage" },
  { to: "/settings/spend", name: "Spend and limits", isForAdministrators: true },
  { to: "/settings/users", name: "Users", isForAdministrators: true },
  { to: "/settings/tokens", name: "API tokens" },
  { to: "/settings/account", name: "Account" },
  { to: "/settings/look", name: "Appearance" },
] as const satisfies readonly { to: string; name: string; isForAdministrators?: boolean }[];

export function SettingsPage({ lead }: { lead: ReactNode }) {
  const isAdministrator = useIsAdministrator() === true;
  usePageTitle("Settings");
  const path = useRouterState({ select: (state) => state.location.pathname });
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the tabs are wider than the page.
    nav.current?.querySelector("[aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [path, isAdministrator]);
  const pages = PAGES.filter((page) => isAdministrator || !("isForAdministrators" in page));
  return (
    <>
      <header className="flex h-13 shrink-0 items-center gap-2 border-b border-line px-3">
        {lead}
        <h1 className="pl-2 text-sm font-semibold">Settings</h1>
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto max-w-[760px] px-6 py-6 max-sm:px-4">
          <nav ref={nav} aria-label="Settings" className="mb-8 flex gap-1 overflow-x-auto border-b border-line">
            {pages.map((page) => (
              <Link
                key={page.to}
                to={page.to}
                className="-mb-px shrink-0 border-b-2 border-transparent px-3 py-2 text-sm text-muted max-sm:px-2.5 -outline-offset-2 hover:text-ink touch:py-3"
                activeProps={{ className: "border-accent! text-ink! font-medium", "aria-current": "page" }}
              >
                {page.name}
              </Link>
            ))}
          </nav>
          <Outlet />
        </div>
      </div>
    </>
  );
}

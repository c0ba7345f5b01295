import { Link, Outlet } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { OWNER } from "@/api/users.ts";
import { usePageTitle } from "@/components/usePageTitle.ts";
import { useMe } from "@/data/queries.ts";

const PAGES = [
  { to: "/settings/models", name: "Models" },
  { to: "/settings/users", name: "Users" },
  { to: "/settings/tokens", name: "API tokens" },
  { to: "/settings/account", name: "Account" },
  { to: "/settings/look", name: "Appearance" },
] as const;

export function SettingsPage({ lead }: { lead: ReactNode }) {
  const { data: me } = useMe();
  usePageTitle("Settings");
  const isAdministrator = me?.roles.some((role) => role.name === OWNER) === true;
  const pages = PAGES.filter((page) => isAdministrator || page.to !== "/settings/users");
  return (
    <>
      <header className="flex h-13 shrink-0 items-center gap-2 border-b border-line px-3">
        {lead}
        <h1 className="pl-2 text-sm font-semibold">Settings</h1>
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto max-w-[760px] px-6 py-6 max-sm:px-4">
          <nav aria-label="Settings" className="mb-8 flex gap-1 overflow-x-auto border-b border-line">
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

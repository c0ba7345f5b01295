import { Outlet, useParams, useRouterState } from "@tanstack/react-router";
import { PanelLeft } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { COMPOSER_ID, focusById } from "@/components/focus.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Toasts } from "@/components/Toasts.tsx";
import { usePrefs } from "@/data/prefs.ts";
import { useMe } from "@/data/queries.ts";
import { useWatch } from "@/data/useWatch.ts";
import { Sidebar } from "@/features/chats/Sidebar.tsx";
import { classes } from "@/lib/classes.ts";
import { AccountMenu } from "./AccountMenu.tsx";
import { FeedNotice } from "./FeedNotice.tsx";
import { LeadContext } from "./lead.ts";
import { useShortcuts } from "./useShortcuts.ts";

const loadPalette = () => import("./Palette.tsx");
const Palette = lazy(loadPalette);
const ShortcutsDialog = lazy(() => import("./ShortcutsDialog.tsx"));

/** The first page comes first. */
const PALETTE_AFTER_MS = 1_500;

/** The frame of the app: the list beside whatever is open. On a phone the list slides over it. */
export function Shell() {
  const { chatId = null } = useParams({ strict: false });
  const path = useRouterState({ select: (state) => state.location.pathname });
  const { data: me } = useMe();
  const connection = useWatch(chatId);
  const sidebarOpen = usePrefs((prefs) => prefs.sidebarOpen);
  const setPrefs = usePrefs((prefs) => prefs.set);
  /** The address at which the list was slid in; going anywhere else slides it out. */
  const [drawerAt, setDrawerAt] = useState<string | null>(null);
  const drawer = drawerAt === path;
  const { overlay, setOverlay } = useShortcuts();

  useEffect(() => {
    // It is opened in order to type at once, so it should not have to be fetched then.
    const timer = setTimeout(() => void loadPalette().catch(() => undefined), PALETTE_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    if (!drawer) return undefined;
    const onKeyDown = (event: KeyboardEvent) => event.key === "Escape" && setDrawerAt(null);
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [drawer]);
  const showList = () => (window.matchMedia("(max-width: 639px)").matches ? setDrawerAt(path) : setPrefs({ sidebarOpen: true }));
  const hideList = () => (drawer ? setDrawerAt(null) : setPrefs({ sidebarOpen: false }));
  const lead: ReactNode = (
    <IconButton label="Show chats" onClick={showList} className={classes(sidebarOpen && "sm:hidden")}>
      <PanelLeft size={17} />
    </IconButton>
  );

  return (
    <LeadContext value={lead}>
      <button
        type="button"
        onClick={() => focusById(COMPOSER_ID)}
        className="sr-only z-50 rounded-md bg-accent px-4 py-2 text-sm font-medium text-accent-ink focus-visible:not-sr-only focus-visible:fixed focus-visible:top-2 focus-visible:left-2"
      >
        Skip to the message field
      </button>
      <div className="flex h-full">
        {drawer ? <button type="button" aria-label="Close the list" className="fixed inset-0 z-20 bg-scrim sm:hidden" onClick={() => setDrawerAt(null)} /> : null}
        <aside
          className={classes(
            "shrink-0 border-r border-line max-sm:fixed max-sm:inset-y-0 max-sm:left-0 max-sm:z-30 max-sm:w-[min(320px,86vw)] max-sm:transition-transform max-sm:duration-150 sm:w-60 md:w-70",
            !drawer && "max-sm:invisible max-sm:-translate-x-full",
            !sidebarOpen && "sm:hidden",
          )}
        >
          <Sidebar
            openId={chatId}
            me={me}
            lead={
              <IconButton label="Hide the list" onClick={hideList}>
                <PanelLeft size={16} />
              </IconButton>
            }
            notice={<FeedNotice connection={connection} />}
            account={<AccountMenu me={me} onPalette={() => setOverlay("palette")} onShortcuts={() => setOverlay("shortcuts")} />}
          />
        </aside>
        <main inert={drawer} className="flex min-w-0 flex-1 flex-col bg-canvas">
          <Outlet />
        </main>
      </div>
      <Suspense>
        {overlay === "palette" ? <Palette onClose={() => setOverlay(null)} onShortcuts={() => setOverlay("shortcuts")} /> : null}
        {overlay === "shortcuts" ? <ShortcutsDialog onClose={() => setOverlay(null)} /> : null}
      </Suspense>
      <Toasts />
    </LeadContext>
  );
}

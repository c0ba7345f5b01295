import { X } from "lucide-react";
import { lazy, type ReactNode, Suspense } from "react";
import type { Chat } from "@/api/types.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { type PanelTab, usePrefs } from "@/data/prefs.ts";
import { classes } from "@/lib/classes.ts";
import type { Row } from "@/stream/timeline.ts";
import { TABS } from "./tabs.ts";

// Whoever never opens the panel never fetches it.
const BODIES = {
  changes: lazy(() => import("./ChangesTab.tsx").then((module) => ({ default: module.ChangesTab }))),
  context: lazy(() => import("./ContextTab.tsx").then((module) => ({ default: module.ContextTab }))),
  workspace: lazy(() => import("./WorkspaceTab.tsx").then((module) => ({ default: module.WorkspaceTab }))),
};

interface PanelFrameProps {
  chat: Chat | undefined;
  rows: readonly Row[];
  children: ReactNode;
}

/** The conversation, and beside it the panel while it is open; on narrow pages the panel lies over it. */
export function PanelFrame({ chat, rows, children }: PanelFrameProps) {
  const tab = usePrefs((prefs) => prefs.panel);
  return (
    <div className="relative flex min-h-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">{children}</div>
      {chat && tab !== "" ? <Panel chat={chat} rows={rows} tab={tab} /> : null}
    </div>
  );
}

function Panel({ chat, rows, tab }: Omit<PanelFrameProps, "children"> & { chat: Chat; tab: PanelTab }) {
  const set = usePrefs((prefs) => prefs.set);
  const Body = BODIES[tab];
  return (
    <aside aria-label="Beside the conversation" className="flex w-[min(440px,50%)] shrink-0 flex-col border-l border-line bg-canvas max-[1099px]:absolute max-[1099px]:inset-0 max-[1099px]:z-10 max-[1099px]:w-auto max-[1099px]:border-l-0">
      <div className="flex items-center gap-1 border-b border-line py-1.5 pr-2 pl-3">
        <div role="tablist" aria-label="Beside the conversation" className="flex min-w-0 flex-1 gap-1">
          {TABS.map(({ id, name, icon: Icon }) => (
            <button
              key={id}
              type="button"
              role="tab"
              id={`panel-tab-${id}`}
              aria-selected={id === tab}
              aria-controls="panel-body"
              onClick={() => set({ panel: id })}
              className={classes("flex h-8 items-center gap-1.5 rounded-md px-2.5 text-sm touch:h-11", id === tab ? "bg-selected font-medium" : "text-muted hover:bg-hover")}
            >
              <Icon size={14} className="max-[400px]:hidden" aria-hidden /> {name}
            </button>
          ))}
        </div>
        <IconButton label="Close" tipSide="left" onClick={() => set({ panel: "" })}>
          <X size={16} />
        </IconButton>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard */}
      <div role="tabpanel" id="panel-body" aria-labelledby={`panel-tab-${tab}`} tabIndex={0} className="min-h-0 flex-1 overflow-y-auto px-4 py-4 -outline-offset-2">
        <Suspense>
          <Body chat={chat} rows={rows} />
        </Suspense>
      </div>
    </aside>
  );
}

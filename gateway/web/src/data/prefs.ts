// What this browser remembers about how the reader likes to see things. Not server state.
import type { ApprovalMode } from "@/api/types.ts";
import { create } from "zustand";
import { persist } from "zustand/middleware";

export type Theme = "system" | "light" | "dark";

export type PanelTab = "changes" | "context" | "workspace";

interface Prefs {
  theme: Theme;
  density: "comfortable" | "compact";
  sidebarOpen: boolean;
  /** The model chosen last for a new chat; empty means the default. */
  modelId: string;
  /** What was chosen last for a new chat; empty while nothing was. */
  approvalMode: "" | ApprovalMode;
  /** What the panel beside a conversation shows; empty while it is closed. */
  panel: "" | PanelTab;
  /** Where it was when it was open last. */
  lastPanel: PanelTab;
  set: (change: Partial<Omit<Prefs, "set">>) => void;
}

export const usePrefs = create<Prefs>()(
  persist((set) => ({ theme: "system", density: "comfortable", sidebarOpen: true, modelId: "", approvalMode: "", panel: "", lastPanel: "changes", set: (change) => set(change.panel ? { lastPanel: change.panel, ...change } : change) }), {
    name: "tandem.prefs",
    version: 1,
  }),
);

const darkQuery = () => window.matchMedia("(prefers-color-scheme: dark)");

/** Puts the chosen theme on the page and keeps it there when the choice or the system changes. */
export function followTheme(): void {
  const apply = () => {
    const { theme, density } = usePrefs.getState();
    const dark = theme === "dark" || (theme === "system" && darkQuery().matches);
    document.documentElement.dataset["theme"] = dark ? "dark" : "light";
    document.documentElement.dataset["density"] = density;
  };
  apply();
  usePrefs.subscribe(apply);
  darkQuery().addEventListener("change", apply);
}

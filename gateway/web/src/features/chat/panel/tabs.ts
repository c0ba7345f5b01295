import { Box, FileDiff, ScrollText } from "lucide-react";
import type { PanelTab } from "@/data/prefs.ts";

/** What the panel beside a conversation can show, in its order. */
export const TABS = [
  { id: "changes", name: "Changes", icon: FileDiff },
  { id: "context", name: "Context", icon: ScrollText },
  { id: "workspace", name: "Workspace", icon: Box },
] as const satisfies readonly { id: PanelTab; name: string; icon: unknown }[];

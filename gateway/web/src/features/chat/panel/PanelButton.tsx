import { PanelRight } from "lucide-react";
import { IconButton } from "@/components/IconButton.tsx";
import { usePrefs } from "@/data/prefs.ts";

/** Opens the panel where it was last, and closes it. */
export function PanelButton() {
  const isOpen = usePrefs((prefs) => prefs.panel !== "");
  const last = usePrefs((prefs) => prefs.lastPanel);
  const set = usePrefs((prefs) => prefs.set);
  return (
    <IconButton label="Changes, context, workspace" tipSide="left" aria-pressed={isOpen} onClick={() => set({ panel: isOpen ? "" : last })}>
      <PanelRight size={17} />
    </IconButton>
  );
}

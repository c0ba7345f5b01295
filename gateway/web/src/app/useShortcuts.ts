import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { COMPOSER_ID, focusById, SEARCH_ID } from "@/components/focus.ts";
import { walk } from "./walk.ts";

export type Overlay = "palette" | "shortcuts";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

/** Keys that work everywhere. Keys of the composer are the composer's own. */
export function useShortcuts() {
  const navigate = useNavigate();
  const [overlay, setOverlay] = useState<Overlay | null>(null);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const modified = event.metaKey || event.ctrlKey;
      if (modified && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setOverlay((open) => (open === "palette" ? null : "palette"));
        return;
      }
      if (modified || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
      if (event.key === "?") setOverlay("shortcuts");
      else if (event.key === "n") void navigate({ to: "/" });
      else if (event.key === "/") focusById(SEARCH_ID);
      else if (event.key === "i") focusById(COMPOSER_ID);
      else if (event.key === "j") walk(1);
      else if (event.key === "k") walk(-1);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [navigate]);
  return { overlay, setOverlay };
}

import { useEffect } from "react";

const APP = "Tandem";

/** Names the page in the browser's tab and history for as long as it is shown. Empty: just the app. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = title === "" || title.includes(APP) ? title || APP : `${title} · ${APP}`;
    return () => {
      document.title = APP;
    };
  }, [title]);
}

import "./app/styles/index.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { setSignedOutHandler } from "./api/client.ts";
import { ApiError } from "./api/problem.ts";
import { makeRouter } from "./app/router.tsx";
import { followTheme } from "./data/prefs.ts";
import { forgetSessions } from "./stream/session.ts";

const MAX_RETRIES = 2;

followTheme();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Only what may heal by itself is asked again.
      retry: (failures, error) => failures < MAX_RETRIES && (!(error instanceof ApiError) || error.isUnreachable || error.status >= 500),
      refetchOnWindowFocus: false,
    },
  },
});
const router = makeRouter(client);

setSignedOutHandler(() => {
  const { pathname } = window.location;
  if (pathname === "/login" || pathname === "/setup") return;
  forgetSessions();
  client.clear();
  void router.navigate({ to: "/login", replace: true });
});

const container = document.getElementById("root");
if (container) {
  createRoot(container).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}

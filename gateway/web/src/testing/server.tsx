// A server for tests of components: answers by method and path, and remembers what was asked of it.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { vi } from "vitest";
import { API_BASE } from "@/api/client.ts";

export interface Asked {
  what: string;
  body: unknown;
}

/** `answers`: by "GET /path", each a body or a whole response; what is not there is 404. The returned list grows with everything but reads. */
export function serve(answers: Readonly<Record<string, unknown>>): Asked[] {
  const changes: Asked[] = [];
  const answer = async (input: RequestInfo | URL, init?: RequestInit) => {
    const what = `${init?.method ?? "GET"} ${String(input).replace(API_BASE, "").split("?")[0] ?? ""}`;
    if (init?.method !== "GET") changes.push({ what, body: typeof init?.body === "string" ? (JSON.parse(init.body) as unknown) : undefined });
    const given = answers[what];
    if (given instanceof Response) return given.clone();
    return what in answers ? Response.json(given) : Response.json({ message: "Route not found." }, { status: 404 });
  };
  vi.stubGlobal("fetch", vi.fn<typeof fetch>(answer));
  return changes;
}

/** Draws with a query cache of its own. */
export function draw(children: ReactNode) {
  return render(<QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>{children}</QueryClientProvider>);
}

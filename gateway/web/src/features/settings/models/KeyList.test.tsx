import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { KeyHealth, ProviderHealth } from "@/api/providerHealth.ts";
import type { Provider } from "@/api/modelTypes.ts";
import { NOW } from "@/testing/fixtures.ts";
import { draw, serve } from "@/testing/server.tsx";
import { KeyList } from "./KeyList.tsx";

const key = (id: string) => ({ id, masked: `sk-…${id}`, created_at: NOW });
const provider: Provider = { id: "p", type: "anthropic", name: "anthropic", display_name: "Anthropic", enabled: true, base_url: "", api_keys: [key("a"), key("b"), key("c")] };
const state = (id: string, change: Partial<KeyHealth> = {}): KeyHealth => ({ id, masked: "", state: "healthy", resting_until: null, last_error: "", last_error_at: null, ...change });
const health: ProviderHealth = { provider_id: "p", keys: [state("b", { state: "refused", last_error: "invalid x-api-key" }), state("a")], breakers: [], running: 0, max_running: 0, queued: 0 };

describe("keys of a provider", () => {
  it("stand in their order, each with how it does in words, as far as somebody knows", () => {
    serve({});
    draw(<KeyList provider={provider} health={health} />);
    const rows = screen.getAllByRole("listitem").map((row) => row.textContent ?? "");
    expect(rows.map((row) => row.slice(0, 5))).toEqual(["sk-…a", "sk-…b", "sk-…c"]);
    expect(rows[0]).toContain("healthy");
    expect(rows[1]).toContain("refused by the vendor: invalid x-api-key");
    expect(rows[2]).not.toMatch(/healthy|refused/);
  });

  it("are moved as one whole order, and not beyond its ends", async () => {
    const changes = serve({ "PATCH /ai/providers/p": provider });
    draw(<KeyList provider={provider} health={undefined} />);
    const button = (name: string) => screen.getByRole<HTMLButtonElement>("button", { name });
    expect([button("Use sk-…a earlier").disabled, button("Use sk-…c later").disabled]).toEqual([true, true]);
    fireEvent.click(button("Use sk-…c earlier"));
    await waitFor(() => expect(changes).toEqual([{ what: "PATCH /ai/providers/p", body: { api_keys: [{ id: "a" }, { id: "c" }, { id: "b" }] } }]));
  });

  it("are replaced in their place, once the new one works", async () => {
    const changes = serve({ "PATCH /ai/providers/p": provider, "POST /ai/providers/test": { ok: true, message: "", models: [], latency_ms: 4 } });
    draw(<KeyList provider={provider} health={undefined} />);
    fireEvent.click(screen.getByRole("button", { name: "Replace sk-…b" }));
    fireEvent.change(screen.getByLabelText("New key"), { target: { value: "sk-new" } });
    fireEvent.click(screen.getByRole("button", { name: "Test and replace" }));
    await waitFor(() => expect(changes.at(-1)).toEqual({ what: "PATCH /ai/providers/p", body: { api_keys: [{ id: "a" }, { api_key: "sk-new" }, { id: "c" }] } }));
  });

  it("are added last if the one to be replaced was removed meanwhile", async () => {
    const changes = serve({ "PATCH /ai/providers/p": provider, "POST /ai/providers/test": { ok: true, message: "", models: [], latency_ms: 4 } });
    const client = new QueryClient();
    const list = (api_keys: Provider["api_keys"]) => (
      <QueryClientProvider client={client}>
        <KeyList provider={{ ...provider, api_keys }} health={undefined} />
      </QueryClientProvider>
    );
    const { rerender } = render(list(provider.api_keys));
    fireEvent.click(screen.getByRole("button", { name: "Replace sk-…b" }));
    rerender(list([key("a"), key("c")]));
    fireEvent.change(screen.getByLabelText("New key"), { target: { value: "sk-new" } });
    fireEvent.click(screen.getByRole("button", { name: "Test and replace" }));
    await waitFor(() => expect(changes.at(-1)).toEqual({ what: "PATCH /ai/providers/p", body: { api_keys: [{ id: "a" }, { id: "c" }, { api_key: "sk-new" }] } }));
  });

  it("that are alone have no order", () => {
    serve({});
    draw(<KeyList provider={{ ...provider, api_keys: [key("a")] }} health={undefined} />);
    expect(screen.queryByRole("button", { name: /earlier|later/ })).toBeNull();
  });
});

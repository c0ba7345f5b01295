import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Workspace, WorkspaceBuild } from "@/api/workspaces.ts";
import { keys } from "@/data/keys.ts";
import { NOW } from "@/testing/fixtures.ts";
import { serve } from "@/testing/server.tsx";
import { Builds } from "./Builds.tsx";

const build = { id: "b", number: 1, transition: "start", status: "running", reason: "user", log: "Cloning", created_at: NOW } as WorkspaceBuild;

it("what a start prints is open while it runs, and stays as its reader has it when it ends", async () => {
  serve({ "GET /workspaces/w/builds": [build] });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <Builds workspace={{ id: "w", status: "starting" } as Workspace} />
    </QueryClientProvider>,
  );
  const details = () => screen.getByText("What it printed").closest("details");
  await waitFor(() => expect(details()?.open).toBe(true));
  act(() => client.setQueryData(keys.builds("w"), [{ ...build, status: "succeeded" }]));
  await screen.findByText(/^Start: succeeded/);
  expect(details()?.open).toBe(true);
  fireEvent.click(screen.getByText("What it printed"));
  await waitFor(() => expect(details()?.open).toBe(false));
});

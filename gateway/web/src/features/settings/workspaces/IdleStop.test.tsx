import { fireEvent, screen, waitFor } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Workspace } from "@/api/workspaces.ts";
import { draw, serve } from "@/testing/server.tsx";
import { IdleStop } from "./IdleStop.tsx";

it("a time that is no round number of hours stays as it is until somebody changes it", async () => {
  const changes = serve({ "PATCH /workspaces/w": {} });
  draw(<IdleStop workspace={{ id: "w", ttl_ms: 1_200_000 } as Workspace} />);
  const field = screen.getByLabelText<HTMLInputElement>("Stop it after hours");
  expect(field.value).toBe("0.33");
  expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
  const form = field.closest("form");
  if (form) fireEvent.submit(form);
  expect(changes).toEqual([]);
  fireEvent.change(field, { target: { value: "0.5" } });
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  await waitFor(() => expect(changes).toEqual([{ what: "PATCH /workspaces/w", body: { ttl_ms: 1_800_000 } }]));
});

import { fireEvent, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { draw, serve } from "@/testing/server.tsx";
import { SealAnew } from "./SealAnew.tsx";

describe("sealing keys anew", () => {
  it("says how many were, and which have to be entered again", async () => {
    serve({ "POST /ai/providers/rotate-key": { resealed: 3, current: 0, unreadable: 1 } });
    draw(<SealAnew />);
    fireEvent.click(screen.getByRole("button", { name: "Seal keys anew" }));
    expect(await screen.findByText("3 sealed anew · 1 cannot be opened: enter them again")).toBeTruthy();
  });
});

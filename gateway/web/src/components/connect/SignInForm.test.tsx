import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { draw, serve } from "@/testing/server.tsx";
import { SignInForm } from "./SignInForm.tsx";

describe("a service that people sign in to themselves", () => {
  it("is connected by the name the server knows it by, without any key", async () => {
    const changes = serve({ "POST /ai/providers": {} });
    const onDone = vi.fn();
    draw(<SignInForm onDone={onDone} />);
    fireEvent.change(screen.getByLabelText("Service"), { target: { value: "copilot-business" } });
    fireEvent.click(screen.getByRole("button", { name: "Connect" }));
    await waitFor(() => expect(onDone).toHaveBeenCalledOnce());
    expect(changes).toEqual([{ what: "POST /ai/providers", body: { type: "copilot", name: "copilot-business", display_name: "GitHub Copilot Business", enabled: true } }]);
  });
});

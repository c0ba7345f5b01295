import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { OwnKey } from "@/api/ownKeys.ts";
import { draw, serve } from "@/testing/server.tsx";
import { OwnKeysPage } from "./OwnKeysPage.tsx";

const PATH = "/users/me/ai-provider-keys";
const ownKey = (name: string, change: Partial<OwnKey> = {}, isEnabled = true): OwnKey => ({
  provider: { id: name, type: "openai", name, display_name: name.toUpperCase(), enabled: isEnabled, deleted: false },
  has_user_api_key: false,
  has_provider_api_key: false,
  byok_enabled: true,
  masked: "",
  ...change,
});

describe("keys of one's own", () => {
  it("are offered only by the providers that take them", async () => {
    serve({ [`GET ${PATH}`]: [ownKey("takes"), ownKey("refuses", { byok_enabled: false }), ownKey("took", { byok_enabled: false, has_user_api_key: true, masked: "sk-…1" }), ownKey("off", { has_user_api_key: true }, false)] });
    draw(<OwnKeysPage />);
    await screen.findByText("TAKES");
    expect(screen.queryByText("REFUSES")).toBeNull();
    expect(screen.queryByRole("button", { name: /(?:Set|Replace) your key for (?:TOOK|OFF)/ })).toBeNull();
    expect(screen.getByRole("button", { name: "Remove your key for TOOK" })).toBeTruthy();
  });

  it("are sent without the spaces around them", async () => {
    const changes = serve({ [`GET ${PATH}`]: [ownKey("takes")], [`PUT ${PATH}/takes`]: ownKey("takes") });
    draw(<OwnKeysPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Set your key for TAKES" }));
    fireEvent.change(screen.getByLabelText("API key"), { target: { value: " sk-mine\n" } });
    fireEvent.click(screen.getByRole("button", { name: "Set key" }));
    await waitFor(() => expect(changes).toEqual([{ what: `PUT ${PATH}/takes`, body: { api_key: "sk-mine" } }]));
  });

  it("are explained where nobody takes any, also by a server that does not know of them", async () => {
    for (const answers of [{ [`GET ${PATH}`]: [] }, {}]) {
      serve(answers);
      const { unmount } = draw(<OwnKeysPage />);
      await screen.findByText("No provider here takes keys of your own");
      unmount();
    }
  });
});

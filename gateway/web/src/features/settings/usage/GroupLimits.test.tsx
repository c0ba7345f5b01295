import { fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { UsageLimits } from "@/api/usage.ts";
import { draw, serve } from "@/testing/server.tsx";
import { GroupLimits } from "./GroupLimits.tsx";

const ORGANIZATIONS = [
  { id: "o1", name: "default", display_name: "Default", is_default: true },
  { id: "o2", name: "lab", display_name: "The lab", is_default: false },
];
const limits = (change: Partial<UsageLimits> = {}): UsageLimits => ({ spend_limit_micros: 20_000_000, period: "week", unpriced_model_count: 0, overrides: [], group_overrides: [], ...change });
const group = { group_id: "o2", group_name: "lab", group_display_name: "The lab", member_count: 1, spend_limit_micros: 5_000_000 };
const PATH = "/chats/usage-limits/group-overrides/o2";

describe("limits of organizations", () => {
  it("are set for one that has none yet", async () => {
    const changes = serve({ "GET /organizations": ORGANIZATIONS, [`PUT ${PATH}`]: {} });
    draw(<GroupLimits limits={limits()} />);
    expect(screen.getByText("None. Members have the limit for everyone.")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Add" }));
    await screen.findByRole("option", { name: "The lab" });
    fireEvent.change(screen.getByLabelText("Organization"), { target: { value: "o2" } });
    const button = screen.getByRole<HTMLButtonElement>("button", { name: "Set limit" });
    fireEvent.change(screen.getByLabelText("US dollars in each week"), { target: { value: "-1" } });
    expect(button.disabled).toBe(true);
    fireEvent.change(screen.getByLabelText("US dollars in each week"), { target: { value: "7,50" } });
    fireEvent.click(button);
    await waitFor(() => expect(changes).toEqual([{ what: `PUT ${PATH}`, body: { spend_limit_micros: 7_500_000 } }]));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });

  it("are offered only for those that have none, and taken away", async () => {
    const changes = serve({ "GET /organizations": ORGANIZATIONS, [`DELETE ${PATH}`]: {} });
    draw(<GroupLimits limits={limits({ group_overrides: [group] })} />);
    expect(screen.getByText("1 member")).toBeTruthy();
    expect(screen.getByText("$5.00")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Add" }));
    await screen.findByRole("option", { name: "Default" });
    expect(screen.queryByRole("option", { name: "The lab" })).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "Remove the limit of The lab", hidden: true }));
    await waitFor(() => expect(changes.map(({ what }) => what)).toEqual([`DELETE ${PATH}`]));
  });
});

import { fireEvent, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { Template, TemplateFields } from "@/api/workspaces.ts";
import { EMPTY_SPEC } from "@/lib/workspace.ts";
import { draw } from "@/testing/server.tsx";
import { TemplateForm } from "./TemplateForm.tsx";

const stored: Template = {
  id: "0198-1",
  name: "rust",
  display_name: "",
  description: "",
  readme: "",
  deprecated: false,
  built_in: false,
  require_active_version: true,
  active_version_number: 1,
  active_developers: 0,
  spec: EMPTY_SPEC,
  updated_at: "2026-11-21T10:00:00Z",
};

function fill(template?: Template) {
  const onSave = vi.fn<(fields: TemplateFields) => Promise<void>>(() => Promise.resolve());
  draw(<TemplateForm template={template} busy={false} onSave={onSave} />);
  const save = () => {
    fireEvent.click(screen.getByRole("button", { name: /^(Save|Add the template)$/ }));
    return onSave.mock.lastCall?.[0];
  };
  return { toggle: screen.getByRole("switch", { name: "Workspaces must run the active version" }), save };
}

describe("whether workspaces must run the active version", () => {
  it("is off for a new template until it is switched on", () => {
    const { toggle, save } = fill();
    fireEvent.change(screen.getByLabelText("Short name"), { target: { value: "rust" } });
    expect(toggle.getAttribute("aria-checked")).toBe("false");
    expect(save()?.require_active_version).toBe(false);
    fireEvent.click(toggle);
    expect(save()?.require_active_version).toBe(true);
  });

  it("is as it is stored, and changes without making another version", () => {
    // Twenty minutes are no round number of hours.
    const spec = { ...EMPTY_SPEC, default_ttl_ms: 1_200_000 };
    const { toggle, save } = fill({ ...stored, spec });
    expect(toggle.getAttribute("aria-checked")).toBe("true");
    fireEvent.click(toggle);
    expect(toggle.getAttribute("aria-checked")).toBe("false");
    expect(save()).toMatchObject({ name: "rust", require_active_version: false, spec });
  });
});

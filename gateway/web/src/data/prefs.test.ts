import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { followTheme, usePrefs } from "./prefs.ts";

const early = readFileSync(join(process.cwd(), "public/theme.js"), "utf8");
const root = document.documentElement.dataset;
/** As the browser runs it, from the page's head. */
const beforeFirstPaint = () => {
  delete root["theme"];
  delete root["density"];
  // oxlint-disable-next-line no-new-func -- our own file
  new Function(early)();
  return { ...root };
};
const system = (isDark: boolean) => vi.stubGlobal("matchMedia", (query: string) => ({ matches: isDark && query.includes("dark"), addEventListener: () => undefined }));

beforeEach(() => {
  usePrefs.setState({ theme: "system", density: "comfortable" });
});

describe("the theme before the first paint", () => {
  it.each([
    ["system", true, "dark"],
    ["system", false, "light"],
    ["dark", false, "dark"],
    ["light", true, "light"],
  ] as const)("is the one that stays: wanted %s, the system dark: %s", (theme, isDark, shown) => {
    system(isDark);
    usePrefs.getState().set({ theme, density: "compact" });
    const first = beforeFirstPaint();
    followTheme();
    expect(first["theme"]).toBe(shown);
    expect({ ...root }).toEqual(first);
  });

  it("is the system's when nothing is remembered, or nothing sensible", () => {
    system(true);
    for (const stored of [null, "{", "null", "[]", '{"state":7}']) {
      localStorage.clear();
      if (stored !== null) localStorage.setItem("tandem.prefs", stored);
      expect(beforeFirstPaint()).toMatchObject({ theme: "dark", density: "comfortable" });
    }
  });
});

import { describe, expect, it } from "vitest";
import { count, money, readMoney } from "./money.ts";
import { priceLine } from "./prices.ts";
import { dayLabel, lastDays, MAX_PARTS, partsOf, untilText } from "./spans.ts";

const NOW = Date.parse("2026-11-21T10:30:00Z");

describe("amounts", () => {
  it("are shown in dollars, with more digits where two would say nothing", () => {
    expect([0, 12_340_000, 4_200, 10_000, 1_234_567_890].map(money)).toEqual(["$0.00", "$12.34", "$0.0042", "$0.01", "$1,234.57"]);
  });

  it("are read as people type them, and nothing that is no limit", () => {
    expect(["20", "$ 2.5", "0,75"].map(readMoney)).toEqual([20_000_000, 2_500_000, 750_000]);
    expect(["", "0", "-3", "many", "1e30"].map(readMoney)).toEqual([null, null, null, null, null]);
  });

  it("of tokens are short", () => {
    expect([950, 9_999, 48_200, 999_900, 1_234_000].map(count)).toEqual(["950", "9,999", "48k", "1M", "1.23M"]);
  });

  it("of prices name what there is", () => {
    expect(priceLine({ cost: { input_price_per_million_tokens: "3", output_price_per_million_tokens: 15 } })).toBe("$3 in, $15 out per million");
    expect(priceLine(undefined)).toBe("no prices");
  });
});

describe("spans of days", () => {
  it("end with today, by UTC", () => {
    expect(lastDays(7, NOW)).toEqual({ start: "2026-11-15T00:00:00Z", end: "2026-11-22T00:00:00Z" });
  });

  it("fall into parts without gaps", () => {
    for (const days of [1, 7, 30, 90, 91]) {
      const all = lastDays(days, NOW);
      const parts = partsOf(all);
      expect(parts.length).toBeLessThanOrEqual(MAX_PARTS);
      expect([parts[0]?.start, parts.at(-1)?.end]).toEqual([all.start, all.end]);
      parts.slice(1).forEach((part, index) => expect(part.start).toBe(parts[index]?.end));
    }
  });

  it("are called by their first and last day", () => {
    const parts = partsOf(lastDays(30, NOW));
    expect(dayLabel(lastDays(1, NOW))).toBe("Nov 21");
    expect(dayLabel(parts.at(-1) as never)).toBe("Nov 19 – 21");
    expect(dayLabel(lastDays(30, NOW))).toBe("Oct 23 – Nov 21");
  });

  it("that are still to come are told in words", () => {
    expect(["2026-11-21T10:50:00Z", "2026-11-22T00:00:00Z", "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z"].map((at) => untilText(at, NOW))).toEqual(["in 20 min", "in 14 h", "in 10 days", "now"]);
  });
});

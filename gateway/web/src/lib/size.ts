const STEP = 1_024;
const UNITS = ["B", "KiB", "MiB", "GiB"] as const;

/** An amount of bytes for people: `10 B`, `1.5 KiB`, `12 MiB`. */
export function sizeText(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= STEP && unit < UNITS.length - 1) {
    amount /= STEP;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 10 ? 0 : 1;
  return `${amount.toFixed(digits).replace(/\.0$/, "")} ${UNITS[unit] ?? ""}`;
}

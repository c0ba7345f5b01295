// Amounts of money and tokens, as people read them. Pure. Micros are millionths of a US dollar.

export const MICROS = 1_000_000;
/** Below a cent two digits would say nothing. */
const CENT = 10_000;

/** "$12.34", "$0.0042", "$0.00". */
export function money(micros: number): string {
  const dollars = micros / MICROS;
  const isTiny = micros !== 0 && Math.abs(micros) < CENT;
  const format = isTiny ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return `${dollars < 0 ? "−" : ""}$${Math.abs(dollars).toLocaleString("en-US", format)}`;
}

export const limitText = (micros: number | null | undefined): string => (micros === null || micros === undefined ? "no limit" : money(micros));

/** What was typed as an amount in dollars, in micros; `null` for what is no amount above zero. */
export function readMoney(typed: string): number | null {
  const dollars = Number(typed.trim().replace(/^\$\s*/, "").replace(",", "."));
  const micros = Math.round(dollars * MICROS);
  return Number.isSafeInteger(micros) && micros > 0 ? micros : null;
}

/** "1.2M", "48k", "950". */
export function count(tokens: number): string {
  if (tokens >= 999_500) return `${String(Number((tokens / 1_000_000).toPrecision(3)))}M`;
  if (tokens >= 10_000) return `${String(Math.round(tokens / 1_000))}k`;
  return tokens.toLocaleString("en-US");
}

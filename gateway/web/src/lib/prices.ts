// Prices of models, as people read them. Pure.
import type { CallConfig } from "@/api/modelTypes.ts";
import { valueAt } from "./callConfig.ts";
import { PRICES } from "./callOptions.ts";

/** "$3 in, $15 out per million", or that there are none. */
export function priceLine(config: CallConfig | undefined): string {
  const [input, output] = PRICES.slice(0, 2).map(({ path }) => valueAt(config ?? {}, path));
  const text = [input === undefined ? "" : `$${String(input)} in`, output === undefined ? "" : `$${String(output)} out`].filter(Boolean).join(", ");
  return text === "" ? "no prices" : `${text} per million`;
}

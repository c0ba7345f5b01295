// Small facts this browser keeps about chats, by id. Bounded: the ones written longest ago are forgotten first.

const MAX_KEPT = 200;

export class Remembered<T extends string | number> {
  private readonly key: string;

  constructor(key: string) {
    this.key = key;
  }

  /** All of them, to look up many at once. */
  all(): Partial<Record<string, T>> {
    try {
      const value: unknown = JSON.parse(localStorage.getItem(this.key) ?? "{}");
      return typeof value === "object" && value !== null ? (value as Record<string, T>) : {};
    } catch {
      return {};
    }
  }

  get(id: string): T | undefined {
    return this.all()[id];
  }

  set(id: string, fact: T | null): void {
    const { [id]: before, ...others } = this.all();
    if (before === (fact ?? undefined)) return;
    const kept = [...Object.entries(others), ...(fact === null ? [] : [[id, fact]])].slice(-MAX_KEPT);
    try {
      localStorage.setItem(this.key, JSON.stringify(Object.fromEntries(kept)));
    } catch {
      // Storage may be full or forbidden: then it is forgotten with the page.
    }
  }
}

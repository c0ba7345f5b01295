// An open connection does not say that anything can come through it: what is behind the server may be gone while it still answers.
// Asks only when there is reason to, and tells since when nothing can come. Knows nothing of chats.

/** A flow that stands still for this long is reason to ask. */
export const DOUBT_AFTER_MS = 4_000;
/** Between two questions while there is doubt, and while it is known that nothing comes. */
export const ASK_EVERY_MS = 5_000;
export const ASK_AGAIN_MS = 2_000;
const TICK_MS = 1_000;

export interface UpstreamHandlers {
  /** `true`: nothing can come. `null`: nobody knows. */
  ask: () => Promise<boolean | null>;
  /** Since when something is expected that has not come, by this device's clock; `null` when nothing is. */
  expectedSince: () => number | null;
  changed: (lostAt: number | null) => void;
}

export class UpstreamWatch {
  private lostAt: number | null = null;
  private askedAt = 0;
  private isAsking = false;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly handlers: UpstreamHandlers;

  constructor(handlers: UpstreamHandlers) {
    this.handlers = handlers;
  }

  start(): void {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.tell(null);
  }

  /** Something came through. */
  readonly heard = (): void => this.tell(null);

  /** Asks, whatever is expected. */
  readonly check = async (): Promise<void> => {
    if (this.isAsking || this.timer === undefined || document.visibilityState === "hidden") return;
    this.isAsking = true;
    this.askedAt = Date.now();
    const isLost = await this.handlers.ask();
    this.isAsking = false;
    if (isLost !== null && this.timer !== undefined) this.tell(isLost ? (this.lostAt ?? this.askedAt) : null);
  };

  private tick(): void {
    const now = Date.now();
    const since = this.handlers.expectedSince();
    const isDoubtful = since !== null && now - since >= DOUBT_AFTER_MS;
    if (this.lostAt === null && !isDoubtful) return;
    if (now - this.askedAt >= (this.lostAt === null ? ASK_EVERY_MS : ASK_AGAIN_MS)) void this.check();
  }

  private tell(lostAt: number | null): void {
    if (lostAt === this.lostAt) return;
    this.lostAt = lostAt;
    this.handlers.changed(lostAt);
  }
}

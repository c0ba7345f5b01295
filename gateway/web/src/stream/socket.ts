// A WebSocket that comes back by itself: the only place with a reconnect policy. Knows nothing of chats or of React.
import { retryDelay } from "./backoff.ts";

/** Silence longer than this on a connection that has heartbeats means it is dead. The server beats every 5 s. */
export const SILENCE_MS = 12_000;
/** An opening handshake that takes longer is given up. */
export const OPEN_DEADLINE_MS = 15_000;

export type Connection =
  | { phase: "connecting" }
  | { phase: "live" }
  | { phase: "reconnecting"; since: number; retryAt: number }
  | { phase: "offline"; since: number }
  | { phase: "closed"; reason: "stopped" | "refused" };

export interface SocketHandlers {
  /** The address to open now; asked again for every attempt so that it can carry the newest cursor. */
  url: () => string;
  opened: () => void;
  /** Returns true when the frame carried a heartbeat. */
  frame: (text: string) => boolean;
  changed: (connection: Connection) => void;
  /** A handshake failed: `false` means that trying again is useless. */
  mayRetry: (failures: number) => Promise<boolean>;
}

export class ReconnectingSocket {
  private socket: WebSocket | null = null;
  private failures = 0;
  private lostAt: number | null = null;
  private hasHeartbeat = false;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private silenceTimer: ReturnType<typeof setTimeout> | undefined;
  private stopped = true;
  private connection: Connection = { phase: "connecting" };
  private readonly handlers: SocketHandlers;

  constructor(handlers: SocketHandlers) {
    this.handlers = handlers;
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    window.addEventListener("online", this.retryNow);
    window.addEventListener("offline", this.wentOffline);
    document.addEventListener("visibilitychange", this.becameVisible);
    this.open();
  }

  stop(): void {
    this.halt("stopped");
  }

  /** Skips the rest of the wait. Bound, so that it can be handed to a button. */
  readonly retryNow = (): void => {
    if (this.stopped || this.socket !== null) return;
    clearTimeout(this.retryTimer);
    this.open();
  };

  /** Begins anew at once, whatever the connection looks like. */
  reopen(): void {
    if (this.stopped) return;
    clearTimeout(this.retryTimer);
    this.abandon();
    this.open();
  }

  private halt(reason: "stopped" | "refused"): void {
    this.stopped = true;
    window.removeEventListener("online", this.retryNow);
    window.removeEventListener("offline", this.wentOffline);
    document.removeEventListener("visibilitychange", this.becameVisible);
    clearTimeout(this.retryTimer);
    this.abandon();
    this.set({ phase: "closed", reason });
  }

  private open(): void {
    if (this.lostAt === null) this.set({ phase: "connecting" });
    const socket = new WebSocket(this.handlers.url());
    this.socket = socket;
    let opened = false;
    this.watchSilence(OPEN_DEADLINE_MS);
    socket.addEventListener("open", () => {
      if (this.socket !== socket) return;
      opened = true;
      this.lostAt = null;
      this.hasHeartbeat = false;
      clearTimeout(this.silenceTimer);
      this.handlers.opened();
      this.set({ phase: "live" });
    });
    socket.addEventListener("message", (event) => {
      if (this.socket !== socket || typeof event.data !== "string") return;
      this.failures = 0;
      this.hasHeartbeat = this.handlers.frame(event.data) || this.hasHeartbeat;
      if (this.hasHeartbeat) this.watchSilence(SILENCE_MS);
    });
    socket.addEventListener("close", () => {
      if (this.socket === socket) void this.lost(opened);
    });
  }

  private async lost(wasOpen: boolean): Promise<void> {
    this.abandon();
    this.lostAt ??= Date.now();
    const failures = this.failures;
    this.failures += 1;
    if (!wasOpen && navigator.onLine) {
      this.set({ phase: "reconnecting", since: this.lostAt, retryAt: Date.now() });
      if (!(await this.handlers.mayRetry(this.failures))) return this.stopped ? undefined : this.halt("refused");
    }
    if (this.stopped || this.socket !== null) return;
    if (!navigator.onLine) return this.set({ phase: "offline", since: this.lostAt ?? Date.now() });
    const delay = retryDelay(failures, Math.random());
    this.set({ phase: "reconnecting", since: this.lostAt ?? Date.now(), retryAt: Date.now() + delay });
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(this.retryNow, delay);
  }

  private readonly wentOffline = (): void => {
    clearTimeout(this.retryTimer);
    void this.lost(true);
  };

  private readonly becameVisible = (): void => {
    if (document.visibilityState === "visible") this.retryNow();
  };

  private watchSilence(ms: number): void {
    clearTimeout(this.silenceTimer);
    const socket = this.socket;
    this.silenceTimer = setTimeout(() => {
      if (this.socket === socket && !this.stopped) void this.lost(socket?.readyState === WebSocket.OPEN);
    }, ms);
  }

  private abandon(): void {
    clearTimeout(this.silenceTimer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private set(connection: Connection): void {
    this.connection = connection;
    this.handlers.changed(connection);
  }

  get state(): Connection {
    return this.connection;
  }
}

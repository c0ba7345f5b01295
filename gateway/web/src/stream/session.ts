// One open chat: its first page, its socket, and the view they add up to. Readers subscribe; nothing here is React.
import { getChat, listMessages } from "@/api/chats.ts";
import { socketUrl } from "@/api/client.ts";
import { isUpstreamLost } from "@/api/health.ts";
import { ApiError, describe } from "@/api/problem.ts";
import type { ChatMessage } from "@/api/types.ts";
import { normalizeMessage, parseFrame, type StreamEvent } from "./events.ts";
import { begun, connected, initialView, reduceAll, snapshotOver, withMessages } from "./reduce.ts";
import { type Connection, ReconnectingSocket } from "./socket.ts";
import { UpstreamWatch } from "./upstream.ts";
import { type ChatView, isBusy, newestMessageId } from "./view.ts";

/** A snapshot that has not ended this long after its connection opened ends now. */
export const SNAPSHOT_DEADLINE_MS = 2_000;
/** After this many refused handshakes the cursor is suspected and a fresh snapshot is asked for. */
const DISTRUST_CURSOR_AFTER = 3;
/** Frames are gathered this long when the page is hidden and has no animation frames. */
const HIDDEN_BATCH_MS = 250;

export interface SessionState {
  view: ChatView;
  connection: Connection;
  /** Since when the server is cut off from where events come from, though the connection is open; `null` when it is not. */
  upstreamLostAt: number | null;
  /** `null` until the first page is there. */
  hasOlder: boolean | null;
  loadingOlder: boolean;
  /** The chat cannot be shown at all. */
  failure: { status: number; message: string } | null;
  /** Server's clock minus ours, in milliseconds. */
  clockOffset: number;
  /** When the stream last said anything but that it is alive, by our clock; 0 before it has. */
  newsAt: number;
}

export class ChatSession {
  readonly chatId: string;
  private state: SessionState = {
    view: initialView(null),
    connection: { phase: "connecting" },
    upstreamLostAt: null,
    hasOlder: null,
    loadingOlder: false,
    failure: null,
    clockOffset: 0,
    newsAt: 0,
  };
  private readonly listeners = new Set<() => void>();
  private readonly socket: ReconnectingSocket;
  private readonly upstream: UpstreamWatch;
  private waiting: StreamEvent[] = [];
  private flushPending = false;
  private openedAt = 0;
  private running = false;
  private askingWhatFailed = false;

  constructor(chatId: string) {
    this.chatId = chatId;
    this.socket = new ReconnectingSocket({
      url: () => this.url(),
      opened: () => this.opened(),
      frame: (text) => this.frame(text),
      changed: (connection) => this.connectionChanged(connection),
      mayRetry: (failures) => this.mayRetry(failures),
    });
    this.upstream = new UpstreamWatch({
      ask: isUpstreamLost,
      expectedSince: () => (isBusy(this.state.view.status) ? Math.max(this.state.newsAt, this.openedAt) : null),
      changed: (upstreamLostAt) => this.set({ upstreamLostAt }),
    });
  }

  readonly getState = (): SessionState => this.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  start(): void {
    if (this.running) return;
    this.running = true;
    if (this.state.hasOlder === null) void this.load();
    else this.socket.start();
  }

  stop(): void {
    this.running = false;
    this.flush();
    this.socket.stop();
  }

  readonly retryNow = (): void => {
    if (this.state.failure !== null) void this.load();
    else this.socket.retryNow();
  };

  /** What is shown turned out to be old: everything live is told again. */
  readonly refresh = (): void => {
    this.flush();
    this.set({ view: { ...this.state.view, cursor: null } });
    this.socket.reopen();
  };

  /** A message the server has just confirmed to this page; the stream will tell it again, harmlessly. */
  confirm(message: ChatMessage): void {
    this.applyOwn(message.id, [{ type: "message", message: normalizeMessage(message) }]);
  }

  /** The server has just put `message` in the place of the one with this id and of everything behind it. */
  replace(fromMessageId: number, message: ChatMessage): void {
    this.applyOwn(message.id, [
      { type: "history_reset", fromMessageId },
      { type: "queue_update", queue: [] },
      { type: "message", message: normalizeMessage(message) },
    ]);
  }

  /** What this page has done itself. If the stream has not told the message yet, it has yet to tell of its turn as well. */
  private applyOwn(messageId: number, events: readonly StreamEvent[]): void {
    const { view } = this.state;
    const isNews = view.snapshot === null && newestMessageId(view) < messageId;
    this.apply(events);
    if (isNews) this.set({ view: begun(this.state.view) });
  }

  readonly loadOlder = async (): Promise<void> => {
    const oldest = this.state.view.messages[0];
    if (this.state.loadingOlder || this.state.hasOlder !== true || oldest === undefined) return;
    this.set({ loadingOlder: true });
    try {
      const page = await listMessages(this.chatId, oldest.id);
      this.set({ view: withMessages(this.state.view, page.messages.map(normalizeMessage)), hasOlder: page.has_more });
    } catch {
      // The reader scrolls again to try again.
    } finally {
      this.set({ loadingOlder: false });
    }
  };

  private async load(): Promise<void> {
    this.set({ failure: null });
    try {
      const [chat, page] = await Promise.all([getChat(this.chatId), listMessages(this.chatId)]);
      const view = withMessages(initialView(chat.status), page.messages.map(normalizeMessage));
      this.set({ view: { ...view, queue: page.queued_messages, error: chat.last_error ?? null }, hasOlder: page.has_more });
      if (this.running) this.socket.start();
    } catch (error) {
      this.set({ failure: { status: error instanceof ApiError ? error.status : 0, message: describe(error) } });
    }
  }

  private url(): string {
    const { view } = this.state;
    const position = view.cursor === null ? { after_id: newestMessageId(view) } : { after_cursor: view.cursor };
    return socketUrl(`/chats/${this.chatId}/stream`, { ...position, heartbeat: 1 });
  }

  private connectionChanged(connection: Connection): void {
    this.set({ connection });
    if (connection.phase === "live") this.upstream.start();
    else this.upstream.stop();
  }

  private opened(): void {
    this.openedAt = Date.now();
    this.flush();
    this.set({ view: connected(this.state.view, this.state.view.cursor !== null) });
  }

  private frame(text: string): boolean {
    const events = parseFrame(text);
    const beat = events.find((e) => e.type === "heartbeat");
    if (beat) {
      this.readClock(beat.serverTime);
      void this.upstream.check();
    }
    const news = events.filter((e) => e.type !== "heartbeat");
    if (news.length > 0) {
      this.upstream.heard();
      this.enqueue(news);
    }
    return beat !== undefined;
  }

  private readClock(serverTime: string): void {
    const offset = Date.parse(serverTime) - Date.now();
    if (Number.isFinite(offset) && Math.abs(offset - this.state.clockOffset) > 500) this.set({ clockOffset: offset });
  }

  /** Gathers what arrives within one frame of the screen, so that a fast stream costs one rendering per frame. */
  private enqueue(events: StreamEvent[]): void {
    this.waiting.push(...events);
    if (this.flushPending) return;
    this.flushPending = true;
    const flush = () => this.flush();
    if (document.visibilityState === "visible") requestAnimationFrame(flush);
    else setTimeout(flush, HIDDEN_BATCH_MS);
  }

  private flush(): void {
    this.flushPending = false;
    if (this.waiting.length === 0) return;
    const events = this.waiting;
    this.waiting = [];
    this.apply(events);
  }

  private apply(events: readonly StreamEvent[]): void {
    const late = Date.now() - this.openedAt > SNAPSHOT_DEADLINE_MS;
    const view = late ? snapshotOver(this.state.view) : this.state.view;
    const next = reduceAll(view, events, new Date().toISOString());
    this.set({ view: next, newsAt: Date.now() });
    if (next.status === "error" && next.error === null) void this.askWhatFailed();
  }

  /** The failure happened before this connection opened, and its snapshot did not tell it. */
  private async askWhatFailed(): Promise<void> {
    if (this.askingWhatFailed) return;
    this.askingWhatFailed = true;
    const chat = await getChat(this.chatId).catch(() => null);
    this.askingWhatFailed = false;
    const { view } = this.state;
    if (chat?.last_error && view.status === "error" && view.error === null) this.set({ view: { ...view, error: chat.last_error } });
  }

  private async mayRetry(failures: number): Promise<boolean> {
    if (failures >= DISTRUST_CURSOR_AFTER) this.set({ view: { ...this.state.view, cursor: null } });
    try {
      await getChat(this.chatId);
      return true;
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      if (status !== 401 && status !== 404) return true;
      this.set({ failure: { status, message: describe(error) } });
      return false;
    }
  }

  private set(change: Partial<SessionState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}

/** Chats kept warm, so that going back shows them at once and continues at their cursor. */
const MAX_KEPT = 6;
const kept = new Map<string, ChatSession>();

export function sessionFor(chatId: string): ChatSession {
  const session = kept.get(chatId) ?? new ChatSession(chatId);
  kept.delete(chatId);
  kept.set(chatId, session);
  for (const [id, old] of kept) {
    if (kept.size <= MAX_KEPT) break;
    old.stop();
    kept.delete(id);
  }
  return session;
}

/** Signing out forgets everything that was read. */
export function forgetSessions(): void {
  for (const session of kept.values()) session.stop();
  kept.clear();
}

// How the list of chats takes in a change, from the feed or from this page, and how it is put in order. Pure.
import type { ChatPatch } from "@/api/chats.ts";
import type { Chat, ChatWatchEvent } from "@/api/types.ts";
import { plainTitle } from "@/lib/title.ts";
import { dayGroup, type DayGroup } from "@/lib/time.ts";

/** The list after `event`. `openId` is the chat on screen: what happens there is being read. */
export function withWatchEvent(chats: readonly Chat[], event: ChatWatchEvent, openId: string | null): Chat[] {
  const { chat } = event;
  if (chat.parent_chat_id !== undefined) return chats.map((parent) => withChild(parent, event));
  if (event.kind === "deleted" || chat.archived) return chats.filter((c) => c.id !== chat.id);
  const old = chats.find((c) => c.id === chat.id);
  const merged: Chat = {
    ...old,
    ...chat,
    children: old?.children ?? chat.children ?? [],
    has_unread: chat.id !== openId && (chat.has_unread || old?.has_unread === true || finishedUnseen(old, event)),
  };
  return old ? chats.map((c) => (c.id === chat.id ? merged : c)) : [merged, ...chats];
}

function withChild(parent: Chat, event: ChatWatchEvent): Chat {
  const { chat } = event;
  if (parent.id !== chat.parent_chat_id) return parent;
  const others = parent.children.filter((c) => c.id !== chat.id);
  if (event.kind === "deleted" || chat.archived) return { ...parent, children: others };
  return { ...parent, children: [{ ...chat, children: [] }, ...others].toSorted((a, b) => b.created_at.localeCompare(a.created_at)) };
}

function finishedUnseen(old: Chat | undefined, event: ChatWatchEvent): boolean {
  const wasBusy = old?.status === "running" || old?.status === "pending";
  const isBusy = event.chat.status === "running" || event.chat.status === "pending";
  return event.kind === "status_change" && wasBusy && !isBusy;
}

/** A list after a change this page has asked for. A chat whose archiving changes leaves the list it is in. */
export function patched(chats: readonly Chat[], id: string, patch: Omit<ChatPatch, "archived"> & { archived?: boolean | undefined }): Chat[] {
  const pinned = chats.filter((chat) => chat.pin_order > 0).length;
  return chats.flatMap((chat) => {
    const children = chat.children.some((child) => child.id === id) ? patched(chat.children, id, patch) : chat.children;
    if (chat.id !== id) return children === chat.children ? [chat] : [{ ...chat, children }];
    if (patch.archived !== undefined) return [];
    const pin_order = patch.pin_order === undefined ? chat.pin_order : patch.pin_order === 0 ? 0 : chat.pin_order || pinned + 1;
    return [{ ...chat, title: patch.title ?? chat.title, labels: patch.labels ?? chat.labels, approval_mode: patch.approval_mode ?? chat.approval_mode, pin_order }];
  });
}

/** What archiving did, for people. */
export function archivedText(title: string, children: number, wasBusy: boolean): string {
  const family = children === 0 ? "" : ` and its ${children === 1 ? "sub-chat" : `${String(children)} sub-chats`}`;
  return `Archived “${title}”${family}${wasBusy ? "; the agent was stopped" : ""}`;
}

/** `first` and behind it what only `second` has. */
export function union(first: readonly Chat[], second: readonly Chat[]): Chat[] {
  const known = new Set(first.map((chat) => chat.id));
  return [...first, ...second.filter((chat) => !known.has(chat.id))];
}

export interface ChatGroup {
  name: "Pinned" | DayGroup;
  chats: Chat[];
}

/** Those in whose title or summary the words stand. */
export function withWords(chats: readonly Chat[], words: string): readonly Chat[] {
  const wanted = words.trim().toLowerCase();
  return wanted === "" ? chats : chats.filter((chat) => `${chat.title}\n${plainTitle(chat.title)}\n${chat.last_turn_summary ?? ""}`.toLowerCase().includes(wanted));
}

/** Pinned in their own order, everything else by day, newest first. Empty groups are left out. */
export function groupChats(found: readonly Chat[], now: number): ChatGroup[] {
  const pinned = found.filter((chat) => chat.pin_order > 0).toSorted((a, b) => a.pin_order - b.pin_order);
  const groups: ChatGroup[] = pinned.length > 0 ? [{ name: "Pinned", chats: pinned }] : [];
  for (const chat of found.filter((c) => c.pin_order === 0).toSorted((a, b) => b.updated_at.localeCompare(a.updated_at))) {
    const name = dayGroup(chat.updated_at, now);
    const last = groups.at(-1);
    if (last?.name === name) last.chats.push(chat);
    else groups.push({ name, chats: [chat] });
  }
  return groups;
}

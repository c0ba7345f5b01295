// How the list of chats takes in a change from the feed, and how it is put in order. Pure.
import type { Chat, ChatWatchEvent } from "@/api/types.ts";
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

export interface ChatGroup {
  name: "Pinned" | DayGroup;
  chats: Chat[];
}

/** Pinned in their own order, everything else by day, newest first. Empty groups are left out. */
export function groupChats(chats: readonly Chat[], search: string, now: number): ChatGroup[] {
  const wanted = search.trim().toLowerCase();
  const found = chats.filter((chat) => wanted === "" || matches(chat, wanted));
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

function matches(chat: Chat, wanted: string): boolean {
  return `${chat.title}\n${chat.last_turn_summary ?? ""}`.toLowerCase().includes(wanted);
}

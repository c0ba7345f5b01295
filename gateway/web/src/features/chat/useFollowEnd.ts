import { type RefObject, useEffect, useRef, useState } from "react";

/** Closer to the end than this counts as being there. */
const END_PX = 48;

interface Seen {
  top: number;
  height: number;
}

/**
 * Whether a scroll leaves the end, comes to it, or (`null`) says nothing about the reader. Text that grows or shrinks moves
 * things by itself; only going up in text that has not become shorter is the reader's own doing.
 */
export function intentOf(before: Seen, now: Seen, viewport: number): boolean | null {
  if (now.height - now.top - viewport < END_PX) return true;
  return now.top < before.top && now.height >= before.height ? false : null;
}

/** Keeps the end of a growing text in view for as long as the reader is there. `hold` lets the next growth happen where it is. */
export function useFollowEnd(box: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>) {
  const [isFollowing, setFollowing] = useState(true);
  const follows = useRef(true);
  const seen = useRef<Seen>({ top: 0, height: 0 });

  const follow = (wanted: boolean) => {
    follows.current = wanted;
    setFollowing(wanted);
  };
  const onScroll = () => {
    const element = box.current;
    if (!element) return;
    const now = { top: element.scrollTop, height: element.scrollHeight };
    const intent = intentOf(seen.current, now, element.clientHeight);
    seen.current = now;
    if (intent !== null) follow(intent);
  };
  useEffect(() => {
    const element = box.current;
    if (!element || !content.current) return undefined;
    const keep = () => {
      if (follows.current) element.scrollTop = element.scrollHeight;
      else if (element.scrollHeight - element.scrollTop - element.clientHeight < END_PX) follow(true);
    };
    const observer = new ResizeObserver(keep);
    observer.observe(content.current);
    observer.observe(element);
    return () => observer.disconnect();
  }, [box, content]);
  return { isFollowing, onScroll, follow: () => follow(true), hold: () => follow(false) };
}

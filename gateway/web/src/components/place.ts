const GAP_PX = 6;
const MARGIN_PX = 8;

/** Puts a fixed element beside another one: on the wished side if it fits there, else on the other, always on the screen. */
export function placeBeside(popup: HTMLElement, anchor: HTMLElement, side: "top" | "bottom", align: "start" | "end"): void {
  const at = anchor.getBoundingClientRect();
  const { width, height } = popup.getBoundingClientRect();
  const above = at.top - GAP_PX - height;
  const below = at.bottom + GAP_PX;
  const fitsAbove = above >= MARGIN_PX;
  const fitsBelow = below + height <= window.innerHeight - MARGIN_PX;
  const top = side === "top" ? (fitsAbove || !fitsBelow ? above : below) : fitsBelow || !fitsAbove ? below : above;
  const left = align === "start" ? at.left : at.right - width;
  popup.style.top = `${String(clamp(top, window.innerHeight - height))}px`;
  popup.style.left = `${String(clamp(left, window.innerWidth - width))}px`;
}

function clamp(value: number, max: number): number {
  return Math.max(MARGIN_PX, Math.min(value, max - MARGIN_PX));
}

/** Two linked rings: the mark of Tandem. */
export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" className="shrink-0">
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <g fill="none" strokeWidth="2.6" className="stroke-accent-ink">
        <circle cx="11.5" cy="16" r="5" />
        <circle cx="20.5" cy="16" r="5" />
      </g>
    </svg>
  );
}

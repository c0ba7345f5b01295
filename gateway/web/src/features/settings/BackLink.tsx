import { Link, type LinkProps } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";

/** The way back from a page about one thing to the page about all of them. */
export function BackLink({ to, text }: { to: NonNullable<LinkProps["to"]>; text: string }) {
  return (
    <Link to={to} className="mb-2 -ml-1.5 inline-flex items-center gap-1 rounded-md py-1 pr-2 pl-1 text-sm text-muted hover:bg-hover hover:text-ink touch:min-h-11">
      <ChevronLeft size={15} aria-hidden /> {text}
    </Link>
  );
}

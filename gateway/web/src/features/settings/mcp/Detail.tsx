import { Link } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import type { ReactNode } from "react";

interface DetailProps {
  title: string;
  icon?: ReactNode;
  badge?: ReactNode;
  text: string;
  action?: ReactNode;
  children: ReactNode;
}

/** A page about one MCP server, with the way back. */
export function Detail({ title, icon, badge, text, action, children }: DetailProps) {
  return (
    <>
      <Link to="/settings/mcp" className="-ml-1.5 inline-flex items-center gap-1 rounded-md py-1 pr-2 pl-1 text-sm text-muted hover:bg-hover hover:text-ink touch:min-h-11">
        <ChevronLeft size={15} aria-hidden /> MCP servers
      </Link>
      <div className="mt-2 mb-7 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h2 className="flex flex-wrap items-center gap-2.5 text-[19px] leading-7 font-semibold tracking-tight wrap-anywhere">
            {icon} {title} {badge}
          </h2>
          <p className="text-sm text-muted wrap-anywhere">{text}</p>
        </div>
        {action}
      </div>
      {children}
    </>
  );
}

import type { ReactNode } from "react";
import { classes } from "@/lib/classes.ts";
import { Logo } from "./Logo.tsx";
import { usePageTitle } from "./usePageTitle.ts";

interface FrontPageProps {
  title: string;
  lead?: ReactNode;
  wide?: boolean;
  children: ReactNode;
}

/** A page outside the app: one thing to do, in the middle. */
export function FrontPage({ title, lead, wide = false, children }: FrontPageProps) {
  usePageTitle(title);
  return (
    <main className="h-full overflow-y-auto bg-side">
      <div className={classes("mx-auto px-5 py-[clamp(32px,12dvh,128px)]", wide ? "max-w-[600px]" : "max-w-[420px]")}>
        <Logo size={36} />
        <h1 className="mt-5 text-[22px] leading-7 font-semibold tracking-tight">{title}</h1>
        {lead ? <p className="mt-2 text-muted">{lead}</p> : null}
        <div className="mt-7">{children}</div>
      </div>
    </main>
  );
}

import { CircleAlert, CircleCheck, Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { classes } from "@/lib/classes.ts";

type Tone = "danger" | "warn" | "ok" | "info";

const LOOKS: Record<Tone, string> = {
  danger: "border-danger-line bg-danger-soft [&>svg]:text-danger",
  warn: "border-warn-line bg-warn-soft [&>svg]:text-warn",
  ok: "border-line bg-sunken [&>svg]:text-ok",
  info: "border-line bg-sunken [&>svg]:text-muted",
};
const ICONS = { danger: CircleAlert, warn: TriangleAlert, ok: CircleCheck, info: Info };

interface NoticeProps {
  tone: Tone;
  title?: string;
  children?: ReactNode;
  actions?: ReactNode;
}

/** Says something that happened, in its place on the page. Problems are read out at once. */
export function Notice({ tone, title, children, actions }: NoticeProps) {
  const Icon = ICONS[tone];
  return (
    <div role={tone === "danger" ? "alert" : "status"} className={classes("flex gap-3 rounded-md border px-3.5 py-3 text-sm", LOOKS[tone])}>
      <Icon size={17} className="mt-px shrink-0" aria-hidden />
      <div className="min-w-0 flex-1">
        {title ? <p className="font-medium">{title}</p> : null}
        {children ? <div className={classes("text-muted wrap-anywhere", title && "mt-0.5")}>{children}</div> : null}
        {actions ? <div className="mt-2.5 flex flex-wrap gap-2">{actions}</div> : null}
      </div>
    </div>
  );
}

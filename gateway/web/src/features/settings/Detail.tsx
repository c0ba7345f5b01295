import type { ReactNode } from "react";

interface DetailProps {
  back: ReactNode;
  title: string;
  icon?: ReactNode;
  /** Beside the title, such as what state it is in. */
  badge?: ReactNode;
  /** Below the title. */
  text: string;
  /** At the end of the head. */
  action?: ReactNode;
  children: ReactNode;
}

/** A page about one thing of a settings page, such as a model, with the way back as a `BackLink`. */
export function Detail({ back, title, icon, badge, text, action, children }: DetailProps) {
  return (
    <>
      {back}
      <div className="mb-7 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
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

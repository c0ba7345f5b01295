import { Link } from "@tanstack/react-router";
import { Button, buttonClasses } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import type { SessionState } from "@/stream/session.ts";

export type Failure = NonNullable<SessionState["failure"]>;

/** There is no such chat for this reader; everything else may get better by trying again. */
export function isGone(failure: Failure | null): boolean {
  return failure !== null && (failure.status === 404 || failure.status === 400);
}

export function LoadFailure({ failure, onRetry }: { failure: Failure; onRetry: () => void }) {
  const gone = isGone(failure);
  return (
    <div className="mx-auto w-full max-w-[560px] flex-1 px-6 pt-[clamp(24px,12dvh,112px)] max-sm:px-4">
      <Notice
        tone={gone ? "info" : "danger"}
        title={gone ? "There is no such chat, or it is not yours" : "The chat could not be loaded"}
        actions={
          gone ? (
            <Link to="/" className={buttonClasses("secondary")}>
              Back to your chats
            </Link>
          ) : (
            <Button onClick={onRetry}>Try again</Button>
          )
        }
      >
        {gone ? "The address may be incomplete, or the chat belongs to another user." : failure.message}
      </Notice>
    </div>
  );
}

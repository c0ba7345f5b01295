import { Link } from "@tanstack/react-router";
import { Button } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";

interface LoadFailureProps {
  failure: { status: number; message: string };
  onRetry: () => void;
}

export function LoadFailure({ failure, onRetry }: LoadFailureProps) {
  const gone = failure.status === 404 || failure.status === 400;
  return (
    <div className="mx-auto w-full max-w-[560px] flex-1 px-6 pt-16">
      <Notice
        tone={gone ? "info" : "danger"}
        title={gone ? "There is no such chat" : "The chat could not be loaded"}
        actions={
          gone ? (
            <Link to="/" className="text-sm font-medium text-accent underline underline-offset-2">
              Start a new one
            </Link>
          ) : (
            <Button onClick={onRetry}>Try again</Button>
          )
        }
      >
        {gone ? "It may belong to somebody else, or the address may be wrong." : failure.message}
      </Notice>
    </div>
  );
}

import { Link } from "@tanstack/react-router";

/** In place of a page about something that is gone. */
export function Gone({ what }: { what: string }) {
  return (
    <p className="text-sm text-muted">
      There is no such {what}.{" "}
      <Link to="/settings/models" className="rounded-md text-accent underline underline-offset-2">
        Back to models and providers
      </Link>
      .
    </p>
  );
}

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { buttonClasses } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { meQuery } from "@/data/queries.ts";

/** Somebody has signed in, so no link works any more: what to do instead. */
export function SpentLink() {
  const { data: me } = useQuery(meQuery);
  if (me) {
    return (
      <Notice
        tone="info"
        title="This sign-in link was already used"
        actions={
          <Link to="/" className={buttonClasses("primary")}>
            Go to your chats
          </Link>
        }
      >
        You are signed in as {me.username} in this browser.
      </Notice>
    );
  }
  return (
    <Notice
      tone="warn"
      title="This sign-in link was already used"
      actions={
        <Link to="/login" className={buttonClasses("primary")}>
          Sign in with a password
        </Link>
      }
    >
      <p>A link works once, in one browser. From then on it takes the password that was chosen there; the user is called admin.</p>
      <p className="mt-1.5">No password was chosen? That browser is still signed in: choose one there under Settings, Account.</p>
    </Notice>
  );
}

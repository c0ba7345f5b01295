import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { deleteGitCredential, type GitCredential, listGitCredentials, putGitCredential } from "@/api/git.ts";
import { describe, isNotServed } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Field } from "@/components/Field.tsx";
import { Notice } from "@/components/Notice.tsx";
import { RelativeTime } from "@/components/RelativeTime.tsx";
import { toast } from "@/components/toasts.ts";
import { keys } from "@/data/keys.ts";
import { LIST, Loading, Section } from "../Section.tsx";
import { useChange } from "../useChange.ts";

/** With what git in this user's chats comes to hosts, and pull requests are looked up. */
export function GitPage() {
  const { data, error } = useQuery({ queryKey: keys.gitCredentials, queryFn: listGitCredentials });
  if (error && isNotServed(error)) return <Notice tone="info" title="This server does not know git credentials yet." />;
  return (
    <>
      <Section title="New credential" text="For cloning and pushing over HTTPS, and for looking up pull requests. Git is given it when it asks for that host, in your chats only; no agent can read it elsewhere.">
        <NewCredential />
      </Section>
      <Section title="Git credentials">
        {error ? <Notice tone="danger" title={describe(error)} /> : null}
        <ul aria-label="Git credentials" className={LIST}>
          {data?.map((credential) => <CredentialItem key={credential.host} credential={credential} />)}
          {data === undefined && !error ? <Loading /> : null}
          {data?.length === 0 ? <li className="px-4 py-4 text-sm text-muted">None yet. Public repositories need none.</li> : null}
        </ul>
      </Section>
    </>
  );
}

function NewCredential() {
  const { busy, run } = useChange(keys.gitCredentials);
  const [host, setHost] = useState("");
  const [username, setUsername] = useState("");
  const [token, setToken] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await run(() => putGitCredential(host.trim(), { token, username: username.trim() })))) return;
    toast(`Stored for ${host.trim()}`);
    setHost("");
    setUsername("");
    setToken("");
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="grid items-start gap-4 sm:grid-cols-2">
      <Field label="Host" placeholder="github.com" required autoComplete="off" spellCheck={false} value={host} hint="With the port where it is not the usual one." onChange={(event) => setHost(event.target.value)} />
      <Field label="User name" autoComplete="off" spellCheck={false} value={username} hint="Empty where the token alone counts." onChange={(event) => setUsername(event.target.value)} />
      <Field label="Token" type="password" required autoComplete="off" className="sm:col-span-2" value={token} hint="Stored encrypted, never shown again. One for the same host replaces it." onChange={(event) => setToken(event.target.value)} />
      <Button type="submit" look="primary" busy={busy} disabled={host.trim() === "" || token === ""} className="justify-self-start">
        Store
      </Button>
    </form>
  );
}

function CredentialItem({ credential: { host, username, updated_at } }: { credential: GitCredential }) {
  const { busy, run } = useChange(keys.gitCredentials);
  return (
    <li className="flex items-center gap-3 py-2.5 pr-3 pl-4">
      <div className="min-w-0 flex-1">
        <p className="truncate text-sm font-medium">{host}</p>
        <p className="text-xs text-faint">
          {username === "" ? "token only" : username} · stored <RelativeTime iso={updated_at} />
        </p>
      </div>
      <Button look="danger" busy={busy} aria-label={`Remove ${host}`} onClick={() => void run(() => deleteGitCredential(host))}>
        Remove
      </Button>
    </li>
  );
}

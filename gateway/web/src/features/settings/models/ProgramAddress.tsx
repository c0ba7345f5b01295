import type { Provider } from "@/api/modelTypes.ts";
import { CopyButton } from "@/components/CopyButton.tsx";
import { programAddress } from "@/lib/names.ts";
import { LIST, Section } from "../Section.tsx";

/** Where programs find a provider that answers only with their users' own sign-in. */
export function ProgramAddress({ provider }: { provider: Provider }) {
  const address = `${window.location.origin}${programAddress(provider)}`;
  return (
    <Section title="For programs" text="Nothing is stored here: a program is signed in there as usual, and tells this address instead. What it asks is metered and recorded. Chats cannot use it.">
      <dl className={`${LIST} text-sm`}>
        <div className="flex flex-wrap items-center gap-x-3 py-1.5 pr-2 pl-4">
          <dt className="w-24 shrink-0 text-muted">Address</dt>
          <dd className="flex min-w-0 flex-1 basis-48 items-center justify-between gap-2">
            <code className="min-w-0 font-mono text-[13px] wrap-anywhere">{address}</code>
            <CopyButton text={address} label="Copy the address" />
          </dd>
        </div>
        <div className="flex flex-wrap items-baseline gap-x-3 py-2.5 pr-4 pl-4">
          <dt className="w-24 shrink-0 text-muted">Sign-in</dt>
          <dd className="min-w-0 flex-1 basis-48">
            its own, and a token of Tandem as <code className="font-mono text-[13px] wrap-anywhere">X-Coder-AI-Governance-Token</code>
          </dd>
        </div>
      </dl>
    </Section>
  );
}

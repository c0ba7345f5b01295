import { ShieldAlert, ShieldCheck } from "lucide-react";
import { describe } from "@/api/problem.ts";
import { Notice } from "@/components/Notice.tsx";
import { useConfinement } from "@/data/workspaces.ts";
import { LIST, Loading, Section } from "../Section.tsx";

/** What shuts the workspace in, and what this host lacks for it. */
export function Confinement({ workspaceId }: { workspaceId: string }) {
  const { data, error } = useConfinement(workspaceId);
  const missing = data?.mechanisms.some(({ enforced }) => !enforced) === true;
  return (
    <Section title="What shuts it in" text={missing ? "This host cannot do all of it. What is missing says what it takes." : "So that what an agent runs reaches nothing else."}>
      {error ? <Notice tone="danger" title={describe(error)} /> : null}
      <ul aria-label="What shuts it in" className={LIST}>
        {data?.mechanisms.map(({ name, enforced, detail }) => (
          <li key={name} className="flex gap-3 px-4 py-2.5 text-sm">
            {enforced ? <ShieldCheck size={17} className="mt-0.5 shrink-0 text-ok" aria-hidden /> : <ShieldAlert size={17} className="mt-0.5 shrink-0 text-warn" aria-hidden />}
            <span className="min-w-0">
              {name} <span className="sr-only">{enforced ? "in force" : "missing"}</span>
              <span className="block text-[13px] leading-5 text-muted wrap-anywhere">{detail}</span>
            </span>
          </li>
        ))}
        {data === undefined && !error ? <Loading /> : null}
      </ul>
    </Section>
  );
}

import type { PodSpec } from "@/api/workspaces.ts";
import { Field } from "@/components/Field.tsx";

interface PodFieldsProps {
  pod: PodSpec;
  onChange: (change: Partial<PodSpec>) => void;
}

/** What the pods of a template are made of. */
export function PodFields({ pod, onChange }: PodFieldsProps) {
  return (
    <div className="grid items-start gap-4 sm:grid-cols-3">
      <Field label="Image" required className="sm:col-span-3" autoComplete="off" spellCheck={false} placeholder="registry.example.com/shell:1" value={pod.image} hint="Needs a shell, and Git for repositories; nothing in it runs as root." onChange={(event) => onChange({ image: event.target.value })} />
      <Field label="Processors" autoComplete="off" placeholder="the cluster's default" value={pod.cpu} hint="2 or 500m" onChange={(event) => onChange({ cpu: event.target.value })} />
      <Field label="Memory" autoComplete="off" placeholder="the cluster's default" value={pod.memory} hint="512Mi or 4Gi" onChange={(event) => onChange({ memory: event.target.value })} />
      <Field label="Home" autoComplete="off" placeholder="the deployment's default" value={pod.home_size} hint="20Gi; counts for homes made from now on" onChange={(event) => onChange({ home_size: event.target.value })} />
    </div>
  );
}

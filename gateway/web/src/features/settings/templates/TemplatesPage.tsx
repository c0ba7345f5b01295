import { Link } from "@tanstack/react-router";
import { LayoutTemplate, Plus } from "lucide-react";
import type { Template } from "@/api/workspaces.ts";
import { Badge } from "@/components/Badge.tsx";
import { buttonClasses } from "@/components/Button.tsx";
import { useTemplates } from "@/data/workspaces.ts";
import { BACKENDS } from "@/lib/workspace.ts";
import { ListSection } from "../Section.tsx";

/** What workspaces are made from; administrators look after it. */
export function TemplatesPage() {
  const { data, error } = useTemplates();
  return (
    <ListSection
      title="Templates"
      text="What workspaces are made from, by people and by agents."
      action={
        <Link to="/settings/templates/new" className={buttonClasses("secondary")}>
          <Plus size={15} aria-hidden /> New
        </Link>
      }
      items={data?.templates}
      error={error}
      empty="None yet."
    >
      {(template) => <TemplateItem key={template.id} template={template} />}
    </ListSection>
  );
}

function TemplateItem({ template }: { template: Template }) {
  const { active_developers: count } = template;
  return (
    <li>
      <Link to="/settings/templates/$templateId" params={{ templateId: template.id }} className="flex gap-3 rounded-md px-4 py-2.5 -outline-offset-2 hover:bg-hover">
        <LayoutTemplate size={18} className="mt-0.5 shrink-0 text-muted" aria-hidden />
        <span className="min-w-0 flex-1">
          <span className="flex items-center gap-2 text-sm font-medium">
            <span className="truncate">{template.display_name || template.name}</span>
            {template.built_in ? <Badge text="built in" /> : null}
            {template.deprecated ? <Badge text="no longer offered" look="warn" /> : null}
          </span>
          {template.description ? <span className="block text-xs text-muted wrap-anywhere">{template.description}</span> : null}
          <span className="block text-xs text-faint">
            {BACKENDS[template.spec.backend].name} · version {template.active_version_number}
            {count > 0 ? ` · ${count === 1 ? "1 person uses it" : `${String(count)} people use it`}` : ""}
          </span>
        </span>
      </Link>
    </li>
  );
}

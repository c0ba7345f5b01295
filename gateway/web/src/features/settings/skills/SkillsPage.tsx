import { Link } from "@tanstack/react-router";
import { BookOpen, Plus } from "lucide-react";
import { isNotServed } from "@/api/problem.ts";
import { buttonClasses } from "@/components/Button.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useSkills } from "@/data/workspaces.ts";
import { ListSection } from "../Section.tsx";

/** Instructions for kinds of work, which this user's agents know of in every chat. */
export function SkillsPage() {
  const { data, error } = useSkills();
  if (error && isNotServed(error)) return <Notice tone="info" title="This server does not know skills yet." />;
  return (
    <ListSection
      title="My skills"
      text="Instructions for a kind of work. Agents see name and description in every chat of yours, and read the rest when it fits."
      action={
        <Link to="/settings/skills/$name" params={{ name: "new" }} search={{ isNew: true }} className={buttonClasses("secondary")}>
          <Plus size={15} aria-hidden /> New
        </Link>
      }
      items={data}
      error={error}
      empty="None yet. One might say how you write release notes, or what a review has to look at."
    >
      {(skill) => (
        <li key={skill.name}>
          <Link to="/settings/skills/$name" params={{ name: skill.name }} className="flex gap-3 rounded-md px-4 py-2.5 -outline-offset-2 hover:bg-hover">
            <BookOpen size={17} className="mt-0.5 shrink-0 text-muted" aria-hidden />
            <span className="min-w-0">
              <span className="block text-sm font-medium">{skill.name}</span>
              <span className="block text-xs text-muted wrap-anywhere">{skill.description || "No description: agents go by its name."}</span>
            </span>
          </Link>
        </li>
      )}
    </ListSection>
  );
}

export { GitPage } from "@/features/settings/git/GitPage.tsx";
export { SkillPage } from "@/features/settings/skills/SkillPage.tsx";
export { SkillsPage } from "@/features/settings/skills/SkillsPage.tsx";
export { NewTemplatePage, TemplatePage } from "@/features/settings/templates/TemplatePage.tsx";
export { TemplatesPage } from "@/features/settings/templates/TemplatesPage.tsx";
export { NewWorkspacePage } from "@/features/settings/workspaces/NewWorkspacePage.tsx";
export { WorkspacePage } from "@/features/settings/workspaces/WorkspacePage.tsx";
export { WorkspacesPage } from "@/features/settings/workspaces/WorkspacesPage.tsx";

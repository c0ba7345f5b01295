import { SettingsPage } from "@/features/settings/SettingsPage.tsx";
import { useLead } from "./lead.ts";

export { AccountPage } from "@/features/settings/AccountPage.tsx";
export { LookPage } from "@/features/settings/LookPage.tsx";
export { ModelsPage } from "@/features/settings/ModelsPage.tsx";
export { TokensPage } from "@/features/settings/TokensPage.tsx";
export { UsersPage } from "@/features/settings/UsersPage.tsx";

export function Settings() {
  return <SettingsPage lead={useLead()} />;
}

import { SettingsPage } from "@/features/settings/SettingsPage.tsx";
import { useLead } from "./lead.ts";

export { AccountPage } from "@/features/settings/AccountPage.tsx";
export { LookPage } from "@/features/settings/LookPage.tsx";
export { ModelPage } from "@/features/settings/models/ModelPage.tsx";
export { ModelsPage } from "@/features/settings/models/ModelsPage.tsx";
export { OwnKeysPage } from "@/features/settings/ownKeys/OwnKeysPage.tsx";
export { ProviderPage } from "@/features/settings/models/ProviderPage.tsx";
export { SpendPage } from "@/features/settings/usage/SpendPage.tsx";
export { TokensPage } from "@/features/settings/TokensPage.tsx";
export { UsagePage } from "@/features/settings/usage/UsagePage.tsx";
export { UserSpendPage } from "@/features/settings/usage/UserSpendPage.tsx";
export { UsersPage } from "@/features/settings/UsersPage.tsx";

export function Settings() {
  return <SettingsPage lead={useLead()} />;
}

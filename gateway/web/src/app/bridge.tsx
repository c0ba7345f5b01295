export { BridgePage } from "@/features/settings/bridge/BridgePage.tsx";
export { SessionPage } from "@/features/settings/bridge/SessionPage.tsx";

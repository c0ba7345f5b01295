export { NewServerPage } from "@/features/settings/mcp/NewServerPage.tsx";
export { ServerPage } from "@/features/settings/mcp/ServerPage.tsx";
export { ServersPage } from "@/features/settings/mcp/ServersPage.tsx";

import { describe, expectTypeOf, it } from "vitest";
import type { BridgeSession, BridgeSessions, BridgeSessionThreads } from "@/api/bridge.ts";
import type { OwnKey } from "@/api/ownKeys.ts";
import type { ProvidersHealth } from "@/api/providerHealth.ts";
import type { components } from "@/api/schema.gen.ts";
import type { GitCredential } from "@/api/git.ts";
import type { McpHealth, McpServer, McpServerPatch, McpTool, McpTools, NewMcpServer, WorkspaceServer, WorkspaceServers } from "@/api/mcp.ts";
import type { SkillSummary } from "@/api/skills.ts";
import type { AgentToken, Mechanism, NewWorkspace, Template, TemplateParameter, TemplatePreset, TemplateSpec, Workspace, WorkspaceAgent, WorkspaceBuild } from "@/api/workspaces.ts";
import type { CostSummary, CostUsers, GroupLimit, UsageStatus, UserLimit } from "@/api/usage.ts";
import type { DetectedServer, ModelConfig, Provider, ProviderCheckResult } from "@/api/modelTypes.ts";
import type { ChatPatch, NewChat } from "@/api/chats.ts";
import type { ApprovalDecision, ApprovalMode, ApprovalRequest, Chat, DiffStatus, PendingToolCall, User } from "@/api/types.ts";

type Schemas = components["schemas"];
/** The fields this UI reads, as the server's document has them. */
type Read<Name extends keyof Schemas, Shape> = Pick<Schemas[Name], keyof Shape & keyof Schemas[Name]>;

/** One of a few words in truth, or absent where the document says `null` too. */
type Words = "auth_type" | "availability" | "health" | "api_key_header" | "oauth2_client_id" | "oauth2_auth_url" | "oauth2_token_url" | "oauth2_scopes" | "reconnect_reason";

// Checked by the type checker; there is nothing to run.
describe("hand-written shapes", () => {
  it("are what the server's own document says", () => {
    expectTypeOf<Read<"AIProvider", Provider>>().toExtend<Provider>();
    expectTypeOf<Read<"TestAIProviderResponse", ProviderCheckResult>>().toExtend<ProviderCheckResult>();
    expectTypeOf<Read<"DetectedProvider", DetectedServer>>().toExtend<DetectedServer>();
    expectTypeOf<Omit<Read<"ChatModelConfig", ModelConfig>, "model_config">>().toExtend<Omit<ModelConfig, "model_config">>();
    expectTypeOf<Read<"User", User>>().toExtend<User>();
    expectTypeOf<Read<"ChatCostSummary", CostSummary>>().toExtend<CostSummary>();
    expectTypeOf<Read<"ChatCostUsersResponse", CostUsers>>().toExtend<CostUsers>();
    expectTypeOf<Read<"ChatUsageLimitOverride", UserLimit>>().toExtend<UserLimit>();
    expectTypeOf<Read<"ChatUsageLimitGroupOverride", GroupLimit>>().toExtend<GroupLimit>();
    expectTypeOf<Omit<Read<"ChatUsageLimitStatus", UsageStatus>, "period">>().toExtend<Omit<UsageStatus, "period">>();
    expectTypeOf<Omit<Read<"MCPServerConfig", McpServer>, Words>>().toExtend<Omit<McpServer, Words>>();
    expectTypeOf<Omit<Read<"MCPServerHealth", McpHealth>, "outcome" | "error">>().toExtend<Omit<McpHealth, "outcome" | "error">>();
    expectTypeOf<Omit<Read<"MCPTool", McpTool>, "accepted">>().toExtend<Omit<McpTool, "accepted">>();
    expectTypeOf<keyof WorkspaceServers>().toExtend<keyof Schemas["WorkspaceMCPServers"]>();
    expectTypeOf<keyof WorkspaceServer>().toExtend<keyof Schemas["WorkspaceMCPServer"]>();
    expectTypeOf<keyof Workspace>().toExtend<keyof Schemas["Workspace"]>();
    expectTypeOf<keyof WorkspaceBuild>().toExtend<keyof Schemas["WorkspaceBuild"]>();
    expectTypeOf<keyof WorkspaceAgent>().toExtend<keyof Schemas["WorkspaceAgent"]>();
    expectTypeOf<keyof Template>().toExtend<keyof Schemas["Template"]>();
    expectTypeOf<keyof TemplateSpec>().toExtend<keyof Schemas["TemplateSpec"]>();
    expectTypeOf<keyof TemplateParameter>().toExtend<keyof Schemas["TemplateParameter"]>();
    expectTypeOf<Read<"TemplatePreset", TemplatePreset>>().toExtend<Partial<TemplatePreset>>();
    expectTypeOf<NewWorkspace>().toExtend<Omit<Schemas["CreateWorkspaceRequest"], "parameters">>();
    expectTypeOf<Schemas["WorkspaceAgentToken"]>().toExtend<AgentToken>();
    expectTypeOf<Schemas["WorkspaceConfinementMechanism"]>().toExtend<Mechanism>();
    expectTypeOf<Schemas["UserSkillMetadata"]>().toExtend<SkillSummary>();
    expectTypeOf<Schemas["GitCredential"]>().toExtend<GitCredential>();
    expectTypeOf<keyof DiffStatus>().toExtend<keyof Schemas["ChatDiffStatus"]>();
    expectTypeOf<ApprovalDecision>().toExtend<Schemas["ApprovalDecision"]>();
    expectTypeOf<keyof ApprovalRequest>().toEqualTypeOf<keyof Schemas["ChatStreamApproval"]>();
    expectTypeOf<Omit<Read<"ChatStreamToolCall", PendingToolCall>, "approval">>().toEqualTypeOf<Omit<PendingToolCall, "approval">>();
    expectTypeOf<ApprovalMode>().toExtend<Schemas["Chat"]["approval_mode"]>();
    expectTypeOf<Chat["action_expires_at"]>().toEqualTypeOf<Schemas["Chat"]["action_expires_at"]>();
    expectTypeOf<NewChat["approval_mode"]>().toExtend<Schemas["CreateChatBody"]["approval_mode"]>();
    expectTypeOf<ChatPatch["approval_mode"]>().toExtend<Schemas["UpdateChatBody"]["approval_mode"]>();
    expectTypeOf<keyof McpTools>().toEqualTypeOf<keyof Schemas["MCPServerTools"]>();
    expectTypeOf<NewMcpServer>().toExtend<Schemas["CreateMCPServerConfigRequest"]>();
    expectTypeOf<keyof McpServerPatch>().toExtend<keyof Schemas["UpdateMCPServerConfigRequest"]>();
    expectTypeOf<Read<"AIBridgeSession", BridgeSession>>().toExtend<BridgeSession>();
    expectTypeOf<Read<"AIBridgeListSessionsResponse", BridgeSessions>>().toExtend<BridgeSessions>();
    expectTypeOf<Read<"AIBridgeSessionThreadsResponse", BridgeSessionThreads>>().toExtend<BridgeSessionThreads>();
    expectTypeOf<Read<"UserAIProviderKeyConfig", OwnKey>>().toExtend<OwnKey>();
    expectTypeOf<Read<"AIProvidersHealth", ProvidersHealth>>().toExtend<ProvidersHealth>();
  });
});

import { describe, expectTypeOf, it } from "vitest";
import type { components } from "@/api/schema.gen.ts";
import type { CostSummary, CostUsers, GroupLimit, UsageStatus, UserLimit } from "@/api/usage.ts";
import type { DetectedServer, ModelConfig, Provider, ProviderCheckResult, User } from "@/api/types.ts";

type Schemas = components["schemas"];
/** The fields this UI reads, as the server's document has them. */
type Read<Name extends keyof Schemas, Shape> = Pick<Schemas[Name], keyof Shape & keyof Schemas[Name]>;

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
  });
});
